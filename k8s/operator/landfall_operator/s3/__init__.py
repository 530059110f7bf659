"""S3 and MinIO's admin API. boto3 and minio are imported in here only: they cost 40 MiB."""
