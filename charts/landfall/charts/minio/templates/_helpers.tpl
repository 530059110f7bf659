{{- define "minio.fullname" -}}
{{- $name := ternary .Release.Name (printf "%s-minio" .Release.Name) (contains "minio" .Release.Name) -}}
{{- .Values.fullnameOverride | default $name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "minio.instanceLabels" -}}
app.kubernetes.io/name: minio
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Of one component: (list $ "server") */ -}}
{{- define "minio.selectorLabels" -}}
{{ include "minio.instanceLabels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "minio.labels" -}}
{{- $ := index . 0 -}}
{{ include "minio.selectorLabels" . }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* The label of the pods that may reach the S3 API. */ -}}
{{- define "minio.clientLabel" -}}
{{ include "minio.fullname" . }}-client
{{- end }}

{{- /* The Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what auth.keys says. */ -}}
{{- define "minio.rootSecret" -}}
{{ .Values.auth.existingSecret | default (printf "%s-root" (include "minio.fullname" .)) }}
{{- end }}

{{- define "minio.endpoint" -}}
{{ ternary "https" "http" .Values.tls.enabled }}://{{ include "minio.fullname" . }}.{{ .Release.Namespace }}.svc:9000
{{- end }}

{{- /* A reference: (list $ image tag), where the tag is the default one. */ -}}
{{- define "minio.image" -}}
{{- $ := index . 0 }}{{ $image := index . 1 -}}
{{- with $.Values.global.imageRegistry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default (index . 2) }}{{ end -}}
{{- end }}

{{- define "minio.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ .Values.securityContext.runAsUser }}
runAsGroup: {{ .Values.securityContext.runAsGroup }}
fsGroup: {{ .Values.securityContext.fsGroup }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "minio.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "minio.scheduling" -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" }}
{{- with index $.Values $key }}
{{ dict $key . | toYaml }}
{{- end }}
{{- end }}
{{- with .Values.global.imagePullSecrets }}
{{ dict "imagePullSecrets" . | toYaml }}
{{- end }}
{{- end }}
