{{- define "postgis.fullname" -}}
{{- $name := ternary .Release.Name (printf "%s-postgis" .Release.Name) (contains "postgis" .Release.Name) -}}
{{- .Values.fullnameOverride | default $name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "postgis.instanceLabels" -}}
app.kubernetes.io/name: postgis
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Of one component: (list $ "postgresql") */ -}}
{{- define "postgis.selectorLabels" -}}
{{ include "postgis.instanceLabels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "postgis.labels" -}}
{{- $ := index . 0 -}}
{{ include "postgis.selectorLabels" . }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* The labels of the pods that may reach PostgreSQL, and PgBouncer. */ -}}
{{- define "postgis.clientLabel" -}}
{{ include "postgis.fullname" . }}-client
{{- end }}

{{- define "postgis.poolerClientLabel" -}}
{{ include "postgis.fullname" . }}-pgbouncer-client
{{- end }}

{{- define "postgis.host" -}}
{{ include "postgis.fullname" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{- /* The Secret of one login: (list $ "owner"), or "app", or "pgbouncer" */ -}}
{{- define "postgis.loginSecret" -}}
{{- $ := index . 0 -}}
{{- (index $.Values.auth (index . 1)).existingSecret | default (printf "%s-%s" (include "postgis.fullname" $) (index . 1)) -}}
{{- end }}

{{- define "postgis.ownerSecret" -}}
{{ include "postgis.loginSecret" (list . "owner") }}
{{- end }}

{{- define "postgis.appSecret" -}}
{{ include "postgis.loginSecret" (list . "app") }}
{{- end }}

{{- define "postgis.poolerRole" -}}
{{ .Values.roles.app }}_pooler
{{- end }}

{{- /* Group roles by the login whose Secret they belong to, as JSON. */ -}}
{{- define "postgis.logins" -}}
{{- $logins := dict "owner" .Values.roles.owner "app" .Values.roles.app -}}
{{- if .Values.pgbouncer.enabled }}{{ $_ := set $logins "pgbouncer" (include "postgis.poolerRole" .) }}{{ end -}}
{{- toJson $logins -}}
{{- end }}

{{- /* A reference: (list $ image tag), where the tag is the default one. */ -}}
{{- define "postgis.image" -}}
{{- $ := index . 0 }}{{ $image := index . 1 -}}
{{- with $.Values.global.imageRegistry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default (index . 2) }}{{ end -}}
{{- end }}

{{- define "postgis.serverImage" -}}
image: {{ include "postgis.image" (list . .Values.image .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- /* (list $ securityContext) */ -}}
{{- define "postgis.podSecurityContext" -}}
runAsNonRoot: true
{{- with index . 1 }}
{{ toYaml . }}
{{- if .fsGroup }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "postgis.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "postgis.scheduling" -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" }}
{{- with index $.Values $key }}
{{ $key }}: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "postgis.urlOptions" -}}
{{- if .Values.tls.enabled }}?sslmode={{ .Values.tls.sslmode }}{{ with .Values.tls.sslrootcert }}&sslrootcert={{ . }}{{ end }}{{ end -}}
{{- end }}

{{- /* libpq's variables for one login: (list $ "owner") */ -}}
{{- define "postgis.clientEnv" -}}
{{- $ := index . 0 }}{{ $keys := (index $.Values.auth (index . 1)).keys -}}
{{- $secret := include "postgis.loginSecret" . -}}
- {name: PGHOST, value: {{ include "postgis.host" $ }}}
- {name: PGDATABASE, value: {{ $.Values.database | quote }}}
- {name: PGCONNECT_TIMEOUT, value: "10"}
- {name: PGUSER, valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $keys.username }}}}}
- {name: PGPASSWORD, valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $keys.password }}}}}
{{- end }}

{{- /* A quantity in Mi, Gi or Ti, in MiB. */ -}}
{{- define "postgis.mebibytes" -}}
{{- if hasSuffix "Ti" . }}{{ mul 1048576 (trimSuffix "Ti" . | int) }}{{ else if hasSuffix "Gi" . }}{{ mul 1024 (trimSuffix "Gi" . | int) }}{{ else }}{{ trimSuffix "Mi" . | int }}{{ end -}}
{{- end }}
