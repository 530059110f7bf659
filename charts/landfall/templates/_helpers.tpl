{{- define "landfall.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "landfall.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "landfall.labels" -}}
{{ include "landfall.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "landfall.image" -}}
{{- $image := .Values.api.image -}}
{{- with .Values.global.imageRegistry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ $image.repository }}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .Chart.AppVersion }}{{ end }}
{{- end -}}

{{/* The labels by which PostGIS' (or its pooler's) and MinIO's network policies know who may come. */}}
{{- define "landfall.clientLabels" -}}
{{- if .Values.postgis.enabled }}
{{ include "postgis.clientLabel" .Subcharts.postgis }}: "true"
{{ include "postgis.poolerClientLabel" .Subcharts.postgis }}: "true"
{{- end }}
{{- if .Values.minio.enabled }}
{{ include "minio.clientLabel" .Subcharts.minio }}: "true"
{{- end }}
{{- end -}}

{{/* Whether a pooler stands between: its clients' connections are not the server's. */}}
{{- define "landfall.isPooled" -}}
{{- if and .Values.postgis.enabled (dig "pgbouncer" "enabled" false .Values.postgis) (not .Values.database.connectionBudget) }}true{{ end -}}
{{- end -}}

{{- define "landfall.databaseSecret" -}}
{{- if .Values.postgis.enabled }}{{ include "postgis.appSecret" .Subcharts.postgis }}{{ else }}{{ .Values.database.existingSecret }}{{ end -}}
{{- end -}}

{{- define "landfall.databaseKey" -}}
{{- if not .Values.postgis.enabled }}{{ .Values.database.urlKey }}
{{- else if .Values.postgis.pgbouncer.enabled }}{{ .Values.postgis.auth.app.keys.pooledUrl }}
{{- else }}{{ .Values.postgis.auth.app.keys.url }}{{ end -}}
{{- end -}}

{{- define "landfall.migrationSecret" -}}
{{- if .Values.postgis.enabled }}{{ include "postgis.ownerSecret" .Subcharts.postgis }}{{ else }}{{ .Values.database.migrationSecret | default .Values.database.existingSecret }}{{ end -}}
{{- end -}}

{{- define "landfall.migrationKey" -}}
{{- if .Values.postgis.enabled }}{{ .Values.postgis.auth.owner.keys.url }}{{ else if .Values.database.migrationSecret }}{{ .Values.database.migrationUrlKey }}{{ else }}{{ .Values.database.urlKey }}{{ end -}}
{{- end -}}

{{- define "landfall.authSecret" -}}
{{ .Values.auth.existingSecret | default (printf "%s-auth" (include "landfall.fullname" .)) }}
{{- end -}}

{{- define "landfall.storageSecret" -}}
{{- if .Values.bucket.enabled }}{{ include "landfall.fullname" . }}-bucket{{ else }}{{ .Values.storage.existingSecret }}{{ end -}}
{{- end -}}

{{- define "landfall.makesBackupBucket" -}}
{{- if and .Values.postgis.enabled .Values.bucket.enabled .Values.backupBucket.enabled (dig "backup" "enabled" false .Values.postgis) }}true{{ end -}}
{{- end -}}

{{/* The spec.store of Buckets. */}}
{{- define "landfall.store" -}}
{{- if .Values.minio.enabled -}}
{{- $keys := not (empty .Values.minio.auth.existingSecret) | ternary .Values.minio.auth.keys (dict "accessKey" "AWS_ACCESS_KEY_ID" "secretKey" "AWS_SECRET_ACCESS_KEY") -}}
endpoint: {{ include "minio.endpoint" .Subcharts.minio }}
region: {{ .Values.minio.region }}
forcePathStyle: true
accounts: Scoped
credentialsSecretRef: {name: {{ include "minio.rootSecret" .Subcharts.minio }}, accessKeyIdKey: {{ $keys.accessKey }}, secretAccessKeyKey: {{ $keys.secretKey }}}
{{- else -}}
{{- with .Values.bucket -}}
endpoint: {{ .endpoint }}
region: {{ .region }}
forcePathStyle: {{ .forcePathStyle }}
accounts: {{ .accounts }}
credentialsSecretRef: {name: {{ .credentialsSecret }}, accessKeyIdKey: {{ .accessKeyIdKey }}, secretAccessKeyKey: {{ .secretAccessKeyKey }}}
{{- end }}
{{- end }}
{{- with .Values.bucket.publicEndpoint }}
publicEndpoint: {{ . }}
{{- end }}
{{- with .Values.bucket.caBundleRef }}
caBundleRef: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A rollout adds its surge, and as many that are ending still hold their connections. */}}
{{- define "landfall.maxPods" -}}
{{- $replicas := ternary .Values.api.autoscaling.maxReplicas .Values.api.replicas .Values.api.autoscaling.enabled -}}
{{ add (max .Values.database.forPods $replicas) (mul 2 .Values.api.maxSurge) }}
{{- end -}}

{{- define "landfall.connectionBudget" -}}
{{- $bundled := ternary (dig "maxConnections" 100 .Values.postgis) 100 .Values.postgis.enabled -}}
{{ .Values.database.connectionBudget | default (sub $bundled 15) }}
{{- end -}}

{{/* What one pod may hold; two of its share are left to its readiness checks, which have connections of their own. */}}
{{- define "landfall.connectionsPerPod" -}}
{{- if include "landfall.isPooled" . -}}
15
{{- else -}}
{{ sub (div (include "landfall.connectionBudget" . | int) (include "landfall.maxPods" . | int)) 2 }}
{{- end -}}
{{- end -}}

{{- define "landfall.poolSize" -}}
{{ .Values.database.poolSize | default (min 5 (include "landfall.connectionsPerPod" . | int)) }}
{{- end -}}

{{- define "landfall.maxOverflow" -}}
{{- if kindIs "invalid" .Values.database.maxOverflow -}}
{{ max 0 (min 10 (sub (include "landfall.connectionsPerPod" . | int) (include "landfall.poolSize" . | int))) }}
{{- else -}}
{{ .Values.database.maxOverflow | int }}
{{- end -}}
{{- end -}}

{{- define "landfall.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* What every container of the service is given. */}}
{{- define "landfall.env" -}}
{{- $storage := include "landfall.storageSecret" . -}}
- name: DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ include "landfall.databaseSecret" . }}, key: {{ include "landfall.databaseKey" . }}}}
- name: AUTH_SIGNING_KEYS
  valueFrom: {secretKeyRef: {name: {{ include "landfall.authSecret" . }}, key: {{ .Values.auth.signingKeysKey }}}}
- name: ARTIFACTS_BUCKET
  valueFrom: {secretKeyRef: {name: {{ $storage }}, key: {{ .Values.storage.bucketKey }}}}
- name: ARTIFACTS_ENDPOINT_URL
  valueFrom: {secretKeyRef: {name: {{ $storage }}, key: {{ .Values.storage.endpointKey }}, optional: {{ not .Values.bucket.enabled }}}}
- name: ARTIFACTS_PUBLIC_ENDPOINT_URL
  valueFrom: {secretKeyRef: {name: {{ $storage }}, key: {{ .Values.storage.publicEndpointKey }}, optional: true}}
- name: ARTIFACTS_REGION
  valueFrom: {secretKeyRef: {name: {{ $storage }}, key: {{ .Values.storage.regionKey }}, optional: {{ not .Values.bucket.enabled }}}}
- name: ARTIFACTS_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ $storage }}, key: {{ .Values.storage.accessKeyIdKey }}}}
- name: ARTIFACTS_SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ $storage }}, key: {{ .Values.storage.secretAccessKeyKey }}}}
{{- with .Values.api.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Alembic reads what is about the database; all else of the service would only have to be there. */}}
{{- define "landfall.migrationEnv" -}}
{{- range $name, $value := .Values.settings }}
{{- if and (hasPrefix "DATABASE_" $name) (not (kindIs "invalid" $value)) }}
- {name: {{ $name }}, value: {{ toString $value | quote }}}
{{- end }}
{{- end }}
{{- with .Values.api.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What the pods of the service have in common, beside their containers. */}}
{{- define "landfall.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.api.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext: {{ toYaml .Values.api.podSecurityContext | nindent 2 }}
{{- with .Values.api.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.api.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.api.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.api.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
