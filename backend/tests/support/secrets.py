"""The secrets that every test uses: distinctive, so that none can stand in the run's output unnoticed."""

from __future__ import annotations

from typing import Final

DATABASE_PASSWORD: Final = "seeded-database-password-7Qk2vXw9"
S3_ACCESS_KEY: Final = "landfalltests"  # an access key is a name, not a secret
S3_SECRET_KEY: Final = "seeded-s3-secret-key-mB4tRz8Lc1"
SIGNING_KEY: Final = "seeded-signing-key-yH6pNd3Js5Gf0Wa2Ue8Ko4Ti7"
OLD_SIGNING_KEY: Final = "seeded-old-signing-key-cV1xZq9Bn5Mw7Lr3Pt6Ys8"
USER_PASSWORD: Final = "seeded-user-password-Ej5uFh1Dg8"

SEEDED_SECRETS: Final = (DATABASE_PASSWORD, S3_SECRET_KEY, SIGNING_KEY, OLD_SIGNING_KEY, USER_PASSWORD)
