{{- define "postgis.validate" -}}
{{- if eq .Values.roles.owner .Values.roles.app }}
{{- fail (printf "postgis: roles.owner and roles.app are both %s: the application must not own the tables; give them two names" .Values.roles.app) }}
{{- end }}
{{- if ge (int .Values.disk.warnPercent) (int .Values.disk.readOnlyPercent) }}
{{- fail (printf "postgis: disk.warnPercent is %v and disk.readOnlyPercent is %v: warn before transactions become read-only" .Values.disk.warnPercent .Values.disk.readOnlyPercent) }}
{{- end }}
{{- range $login, $one := .Values.auth }}
{{- if kindIs "map" $one }}
{{- range $field, $key := $one.keys }}
{{- $made := ternary "pooled-url" $field (eq $field "pooledUrl") }}
{{- if and (ne $key $made) (not $one.existingSecret) }}
{{- fail (printf "postgis: auth.%s.keys.%s is %s and auth.%s.existingSecret is empty: the Credential writes %s; name your Secret, or leave the key as it is" $login $field $key $login $made) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.persistence }}
{{- if and .existingClaim (not .enabled) }}
{{- fail (printf "postgis: persistence.existingClaim is %s and persistence.enabled is false: enable persistence, or name no claim" .existingClaim) }}
{{- end }}
{{- if and .existingClaim .storageClass }}
{{- fail (printf "postgis: persistence.existingClaim is %s and persistence.storageClass is %s: a claim that is there has its class already; leave one of them out" .existingClaim .storageClass) }}
{{- end }}
{{- if and .medium .enabled }}
{{- fail (printf "postgis: persistence.medium is %s and persistence.enabled is true: a medium is for data that is lost with the pod; leave one of them out" .medium) }}
{{- end }}
{{- $size := include "postgis.mebibytes" .size | int }}
{{- $ballast := $.Values.disk.ballastMiB | int }}
{{- if lt $size (mul 5 $ballast | int) }}
{{- fail (printf "postgis: persistence.size is %s and disk.ballastMiB is %d: the ballast would take more than a fifth of the volume; make one larger or the other smaller" .size $ballast) }}
{{- end }}
{{- end }}
{{- with .Values.tls }}
{{- if and .enabled (not .secretName) }}
{{- fail "postgis: tls.enabled is true and tls.secretName is empty: name the Secret with the certificate" }}
{{- end }}
{{- if and .secretName (not .enabled) }}
{{- fail (printf "postgis: tls.secretName is %s and tls.enabled is false: enable TLS, or name no Secret" .secretName) }}
{{- end }}
{{- if and .required (not .enabled) }}
{{- fail "postgis: tls.required is true and tls.enabled is false: nobody could connect; enable TLS" }}
{{- end }}
{{- if and .required (eq .sslmode "prefer") }}
{{- fail "postgis: tls.required is true and tls.sslmode is prefer: the URLs would try without TLS, too; use require or better" }}
{{- end }}
{{- if and .enabled (hasPrefix "verify" .sslmode) (not .sslrootcert) }}
{{- fail (printf "postgis: tls.sslmode is %s and tls.sslrootcert is empty: clients would not know whom to trust; say where they have the file" .sslmode) }}
{{- end }}
{{- end }}
{{- $sources := dict
  "max_connections" "set maxConnections"
  "ssl" "set tls.enabled"
  "ssl_cert_file" "set tls.secretName"
  "ssl_key_file" "set tls.secretName"
  "password_encryption" "leave it out"
  "listen_addresses" "leave it out"
  "port" "leave it out"
  "unix_socket_directories" "leave it out"
  "data_directory" "leave it out"
  "config_file" "leave it out"
  "hba_file" "leave it out" }}
{{- range $name, $_ := .Values.config }}
{{- if hasKey $sources $name }}
{{- fail (printf "postgis: config has %s, which the chart sets itself: %s" $name (index $sources $name)) }}
{{- end }}
{{- end }}
{{- $sources := dict
  "default_pool_size" "set pgbouncer.poolSize"
  "max_db_connections" "set pgbouncer.poolSize"
  "max_client_conn" "set pgbouncer.maxClientConnections"
  "client_tls_sslmode" "set tls.enabled and tls.required"
  "pool_mode" "leave it out"
  "listen_addr" "leave it out"
  "listen_port" "leave it out"
  "auth_type" "leave it out"
  "auth_file" "leave it out"
  "auth_user" "leave it out"
  "auth_query" "leave it out" }}
{{- range $name, $_ := .Values.pgbouncer.config }}
{{- if hasKey $sources $name }}
{{- fail (printf "postgis: pgbouncer.config has %s, which the chart sets itself: %s" $name (index $sources $name)) }}
{{- end }}
{{- end }}
{{- $limit := include "postgis.mebibytes" .Values.resources.limits.memory | int }}
{{- if lt $limit 256 }}
{{- fail (printf "postgis: resources.limits.memory is %s: PostgreSQL with PostGIS needs 256Mi at least; raise it" .Values.resources.limits.memory) }}
{{- end }}
{{- if gt (mul 2 (.Values.maxConnections | int) | int) $limit }}
{{- fail (printf "postgis: maxConnections is %d and resources.limits.memory is %s: a connection needs 2Mi at least; raise the limit, have fewer connections, or enable pgbouncer" (.Values.maxConnections | int) .Values.resources.limits.memory) }}
{{- end }}
{{- with .Values.pgbouncer }}
{{- $held := mul .poolSize (add 1 .replicas) | int }}
{{- if and .enabled (gt $held (sub $.Values.maxConnections 10 | int)) }}
{{- fail (printf "postgis: pgbouncer.poolSize is %v for each of %v replicas, and for one more in a rollout, and maxConnections is %v: keep 10 for others; lower it, raise maxConnections, or leave it 0" .poolSize .replicas $.Values.maxConnections) }}
{{- end }}
{{- end }}
{{- if and .Values.backup.enabled (not .Values.backup.bucketSecret) }}
{{- fail "postgis: backup.enabled is true and backup.bucketSecret is empty: name the Secret of a Bucket's access, where the dumps go" }}
{{- end }}
{{- if and .Values.metrics.prometheusRule.enabled (not .Values.persistence.enabled) }}
{{- fail "postgis: metrics.prometheusRule.enabled is true and persistence.enabled is false: there is no volume to watch; enable persistence, or leave the rule out" }}
{{- end }}
{{- end }}
