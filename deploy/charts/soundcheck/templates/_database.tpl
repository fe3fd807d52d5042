{{/* Who updates the schema: hook, job, init or off. */}}
{{- define "soundcheck.migrations" -}}
{{- $kind := .Values.database.kind -}}
{{- $mode := .Values.migrations.mode -}}
{{- if or (eq $kind "memory") (not .Values.store.enabled) -}}
off
{{- else if ne $mode "auto" -}}
{{ $mode }}
{{- else if eq $kind "sqlite" -}}
init
{{- else if eq .Values.database.postgres.mode "external" -}}
hook
{{- else -}}
job
{{- end -}}
{{- end -}}

{{/* Secret and key with the URL of PostgreSQL, as JSON. */}}
{{- define "soundcheck.databaseSecret" -}}
{{- $p := .Values.database.postgres -}}
{{- if eq $p.mode "external" -}}
{{ dict "name" $p.existingSecret "key" $p.existingSecretKey | toJson }}
{{- else -}}
{{ dict "name" (include "soundcheck.name" (list . "postgres")) "key" "uri" | toJson }}
{{- end -}}
{{- end -}}

{{/* Environment with the database of the store, as YAML. */}}
{{- define "soundcheck.databaseEnv" -}}
{{- if eq .Values.database.kind "postgres" }}
SOUNDCHECK_STORE_DB: {valueFrom: {secretKeyRef: {{ include "soundcheck.databaseSecret" . }}}}
{{- else if eq .Values.database.kind "sqlite" }}
SOUNDCHECK_STORE_DB: sqlite:/data/albums.db
{{- else }}
SOUNDCHECK_STORE_DB: memory
{{- end }}
{{- end -}}

{{/* Container that runs "store migrate". Argument: (list . "up" or "wait"). */}}
{{- define "soundcheck.migrateContainer" -}}
{{- $root := first . -}}
- name: migrate
  image: {{ include "soundcheck.ourImage" (list $root $root.Values.store.image) }}
  imagePullPolicy: {{ $root.Values.images.pullPolicy }}
  args: [migrate, {{ last . }}, -wait, {{ $root.Values.migrations.timeout }}s]
  env:
    {{- include "soundcheck.env" (list (include "soundcheck.databaseEnv" $root | fromYaml)) | nindent 4 }}
  {{- include "soundcheck.container" $root | nindent 2 }}
  resources:
    {{- toYaml $root.Values.migrations.resources | nindent 4 }}
  {{- if eq $root.Values.database.kind "sqlite" }}
  volumeMounts:
    - {name: data, mountPath: /data}
  {{- end }}
{{- end -}}

{{/* Pod of a migration Job: the chart's own ServiceAccounts, Secrets and ConfigMaps do not exist yet when a hook runs. */}}
{{- define "soundcheck.migrateJob" -}}
spec:
  # Each attempt is a pod of its own: the log of a failed one stays.
  {{- if eq (include "soundcheck.migrations" .) "hook" }}
  backoffLimit: 1
  activeDeadlineSeconds: {{ add (mul 2 .Values.migrations.timeout) 60 }}
  {{- else }}
  # Images are pulled and volumes are made meanwhile.
  backoffLimit: 6
  activeDeadlineSeconds: {{ max 1800 (mul 7 .Values.migrations.timeout) }}
  {{- end }}
  template:
    metadata:
      {{- include "soundcheck.podMetadata" (list . "migrate" (dict) (dict)) | nindent 6 }}
    spec:
      restartPolicy: Never
      {{- include "soundcheck.pod" (list . .Values.store 65532) | nindent 6 }}
      containers:
        {{- include "soundcheck.migrateContainer" (list . "up") | nindent 8 }}
{{- end -}}
