{{- define "minio.validate" -}}
{{- with .Values.persistence }}
{{- if and .existingClaim (not .enabled) }}
{{- fail (printf "minio: persistence.existingClaim is %s and persistence.enabled is false: enable persistence, or name no claim" .existingClaim) }}
{{- end }}
{{- if and .existingClaim .storageClass }}
{{- fail (printf "minio: persistence.existingClaim is %s and persistence.storageClass is %s: a claim that is there has its class already; leave one of them out" .existingClaim .storageClass) }}
{{- end }}
{{- end }}
{{- if and .Values.tls.enabled (not .Values.tls.secretName) }}
{{- fail "minio: tls.enabled is true and tls.secretName is empty: name the Secret with the certificate" }}
{{- end }}
{{- if and .Values.tls.secretName (not .Values.tls.enabled) }}
{{- fail (printf "minio: tls.secretName is %s and tls.enabled is false: enable TLS, or name no Secret" .Values.tls.secretName) }}
{{- end }}
{{- range $field, $key := dict "accessKey" "AWS_ACCESS_KEY_ID" "secretKey" "AWS_SECRET_ACCESS_KEY" }}
{{- $given := index $.Values.auth.keys $field }}
{{- if and (ne $given $key) (not $.Values.auth.existingSecret) }}
{{- fail (printf "minio: auth.keys.%s is %s and auth.existingSecret is empty: the Credential writes %s; name your Secret, or leave the key as it is" $field $given $key) }}
{{- end }}
{{- end }}
{{- $sources := dict
  "MINIO_ROOT_USER" "auth.existingSecret"
  "MINIO_ROOT_PASSWORD" "auth.existingSecret"
  "MINIO_REGION" "region"
  "MINIO_BROWSER" "console.enabled"
  "MINIO_PROMETHEUS_AUTH_TYPE" "metrics.enabled"
  "MINIO_API_CORS_ALLOW_ORIGIN" "corsAllowOrigins"
  "GOMEMLIMIT" "resources.limits.memory" }}
{{- range .Values.extraEnv }}
{{- if hasKey $sources .name }}
{{- fail (printf "minio: extraEnv has %s, which the chart sets itself: set %s" .name (index $sources .name)) }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "minio: ingress.enabled is true and ingress.host is empty: give the host name that presigned URLs have" }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not (and .Values.httpRoute.parentRefs .Values.httpRoute.hostnames)) }}
{{- fail "minio: httpRoute.enabled is true, and httpRoute.parentRefs or httpRoute.hostnames is empty: name the Gateway and the host name that presigned URLs have" }}
{{- end }}
{{- if .Values.networkPolicy.enabled }}
{{- range $kind := list "ingress" "httpRoute" }}
{{- if and (index $.Values $kind).enabled (not $.Values.networkPolicy.extraIngress) }}
{{- fail (printf "minio: %s.enabled is true and networkPolicy.extraIngress is empty: nothing would get through; name the pods of your ingress controller or Gateway there" $kind) }}
{{- end }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.networkPolicy.metricsFrom) }}
{{- fail "minio: metrics.serviceMonitor.enabled is true and networkPolicy.metricsFrom is empty: Prometheus would be refused; name its pods there" }}
{{- end }}
{{- end }}
{{- if and .Values.metrics.prometheusRule.enabled (not .Values.persistence.enabled) }}
{{- fail "minio: metrics.prometheusRule.enabled is true and persistence.enabled is false: there would be no volume to watch; enable persistence, or no rule" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.enabled) }}
{{- fail "minio: metrics.serviceMonitor.enabled is true and metrics.enabled is false: there would be nothing to read; enable the metrics" }}
{{- end }}
{{- end }}
