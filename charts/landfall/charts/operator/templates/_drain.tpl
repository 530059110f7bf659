{{- /*
A hook that deletes Buckets, and waits until they are gone, while their operator is still there: helm uninstall deletes
the operator first, and a Bucket that owes a deletion would then hang for ever.
Takes context (this chart's: .Subcharts.operator in an umbrella), name (of the hook's objects) and buckets (their names).
*/}}
{{- define "operator.drain" -}}
{{- $rules := dict "context" .context "name" .name "weight" "-1" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "operator.drainMetadata" $rules | nindent 2 }}
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  {{- include "operator.drainMetadata" $rules | nindent 2 }}
rules:
  - {apiGroups: [landfall.dev], resources: [buckets], resourceNames: {{ toJson .buckets }}, verbs: [get, patch, delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  {{- include "operator.drainMetadata" $rules | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ .name }}}
subjects:
  - {kind: ServiceAccount, name: {{ .name }}}
---
{{- $buckets := .buckets }}
{{- $name := .name }}
{{- $metadata := include "operator.drainMetadata" (merge (dict "weight" "0") .) }}
{{- with .context }}
apiVersion: batch/v1
kind: Job
metadata:
  {{- $metadata | nindent 2 }}
spec:
  backoffLimit: 0
  template:
    metadata:
      labels:
        {{- include "operator.podLabels" . | nindent 8 }}
        app.kubernetes.io/component: drain
    spec:
      serviceAccountName: {{ $name }}
      automountServiceAccountToken: true
      restartPolicy: Never
      terminationGracePeriodSeconds: 5
      {{- include "operator.podSpec" . | nindent 6 }}
      containers:
        - name: drain
          image: {{ include "operator.image" . | quote }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          args: {{ concat (list "drain" .Release.Namespace) $buckets (list "--timeout" (toString .Values.drain.timeoutSeconds)) | toJson }}
          terminationMessagePolicy: FallbackToLogsOnError
          resources:
            requests: {cpu: 20m, memory: 64Mi}
            limits: {memory: 256Mi}
          securityContext:
            {{- include "operator.securityContext" . | nindent 12 }}
{{- end }}
{{- end }}

{{- define "operator.drainMetadata" -}}
name: {{ .name }}
labels:
  {{- include "operator.labels" .context | nindent 2 }}
  app.kubernetes.io/component: drain
annotations:
  helm.sh/hook: pre-delete
  helm.sh/hook-weight: {{ .weight | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
  # So a helm uninstall that fails says why; a Helm that does not know this annotation leaves it in the Job's log.
  helm.sh/hook-output-log-policy: hook-failed
{{- end }}
