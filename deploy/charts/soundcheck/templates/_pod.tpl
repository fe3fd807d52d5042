{{/* Environment as a list sorted by name, so that each name is there once and $(K8S_…) is defined before OTEL_…
refers to it. Argument: a list of maps, of which later ones win. Values are strings or maps with valueFrom; null removes a name. */}}
{{- define "soundcheck.env" -}}
{{- $env := dict -}}
{{- range . }}{{ range $name, $value := . }}{{ $_ := set $env $name $value }}{{ end }}{{ end -}}
{{- range $name, $value := $env }}
{{- if kindIs "map" $value }}
- name: {{ $name | quote }}
  {{- toYaml $value | nindent 2 }}
{{- else if not (kindIs "invalid" $value) }}
- name: {{ $name | quote }}
  value: {{ include "soundcheck.text" $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A value as text. Numbers of values are floating-point: 1000000 would become 1e+06. */}}
{{- define "soundcheck.text" -}}
{{- if and (kindIs "float64" .) (eq (. | int64 | float64) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{/* Environment with pod, node, namespace and uid, by the downward API. */}}
{{- define "soundcheck.downward" -}}
K8S_POD_NAME: {valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.name}}}
K8S_POD_UID: {valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.uid}}}
K8S_NAMESPACE_NAME: {valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}}}
K8S_NODE_NAME: {valueFrom: {fieldRef: {apiVersion: v1, fieldPath: spec.nodeName}}}
{{- end -}}

{{/* Resource attributes of a container's telemetry. Argument: (list . "proxy-service"). */}}
{{- define "soundcheck.resourceAttributes" -}}
deployment.environment.name={{ (first .).Values.environment }},k8s.namespace.name=$(K8S_NAMESPACE_NAME),k8s.pod.name=$(K8S_POD_NAME),k8s.pod.uid=$(K8S_POD_UID),k8s.node.name=$(K8S_NODE_NAME),k8s.container.name={{ last . }}
{{- end -}}

{{/* Environment of a service of ours. Argument: (list . "proxy-service" .Values.proxy (dict "SOUNDCHECK_PROXY_STORE" …)). */}}
{{- define "soundcheck.serviceEnv" -}}
{{- $root := index . 0 -}}
{{- $t := $root.Values.telemetry -}}
{{- $env := include "soundcheck.downward" $root | fromYaml -}}
{{- $_ := set $env "OTEL_EXPORTER_OTLP_ENDPOINT" (include "soundcheck.otlpEndpoint" $root) -}}
{{- $_ := set $env "OTEL_EXPORTER_OTLP_PROTOCOL" "http/protobuf" -}}
{{- $_ := set $env "OTEL_RESOURCE_ATTRIBUTES" (include "soundcheck.resourceAttributes" (list $root (index . 1))) -}}
{{- $_ := set $env "OTEL_METRIC_EXPORT_INTERVAL" ($t.metricExportInterval | int) -}}
{{- $_ := set $env "OTEL_BSP_SCHEDULE_DELAY" ($t.batchDelay | int) -}}
{{- $_ := set $env "OTEL_BLRP_SCHEDULE_DELAY" ($t.batchDelay | int) -}}
{{- $_ := set $env "OTEL_TRACES_SAMPLER" $t.sampler -}}
{{- with $t.samplerArg }}{{ $_ := set $env "OTEL_TRACES_SAMPLER_ARG" . }}{{ end -}}
{{- $_ := set $env "GOMEMLIMIT" (include "soundcheck.memory" (list (index . 2).resources 80)) -}}
{{- include "soundcheck.env" (list $env (index . 3) (index . 2).env) -}}
{{- end -}}

{{/* A quantity in bytes. Argument: (list "collector.logsSize" "400Mi"). */}}
{{- define "soundcheck.bytes" -}}
{{- $units := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "" 1 -}}
{{- $text := last . | toString -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{- if not (and (hasKey $units $unit) (regexMatch "^[0-9]+[A-Za-z]*$" $text)) -}}
{{- fail (printf "%s %q: write an integer with Ki, Mi, Gi, Ti, k, M, G, T or no unit" (first .) $text) -}}
{{- end -}}
{{- mul (regexFind "^[0-9]+" $text | int64) (get $units $unit) -}}
{{- end -}}

{{/* A share, in percent, of the memory limit, in bytes. "" without a limit. Argument: (list .Values.proxy.resources 80). */}}
{{- define "soundcheck.memory" -}}
{{- with dig "limits" "memory" "" (first .) -}}
{{- $limit := . -}}
{{- if kindIs "float64" . }}{{ $limit = int64 . }}{{ end -}}
{{- div (mul (include "soundcheck.bytes" (list "resources.limits.memory" $limit) | int64) (last $)) 100 -}}
{{- end -}}
{{- end -}}

{{/* Fields of every pod. Argument: (list . .Values.proxy UID). */}}
{{- define "soundcheck.pod" -}}
{{- $root := index . 0 -}}
{{- $c := index . 1 -}}
{{- $uid := index . 2 | int64 -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- $context := dict "runAsNonRoot" true "runAsUser" $uid "runAsGroup" $uid "fsGroup" $uid "fsGroupChangePolicy" "OnRootMismatch" "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- range $name, $value := $root.Values.pods.securityContext }}
{{- if kindIs "invalid" $value }}{{ $_ := unset $context $name }}{{ else }}{{ $_ := set $context $name $value }}{{ end }}
{{- end }}
securityContext:
  {{- toYaml $context | nindent 2 }}
{{- with $root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- with $root.Values.pods.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with merge (dict) (default (dict) $c.nodeSelector) $root.Values.pods.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat (default (list) $c.tolerations) $root.Values.pods.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $c.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Metadata of a pod. Argument: (list . "proxy-service" .Values.proxy (dict "checksum/config" …)). */}}
{{- define "soundcheck.podMetadata" -}}
{{- $root := index . 0 -}}
# No version of the chart: a new one would replace every pod.
labels:
  {{- include "soundcheck.selector" (list $root (index . 1)) | nindent 2 }}
  app.kubernetes.io/part-of: soundcheck
  {{- with $root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (default (dict) (index . 2).podAnnotations) (index . 3) $root.Values.pods.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Security context of every container. */}}
{{- define "soundcheck.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{/* Distribution of a component's pods over nodes. Argument: (list . "proxy-service" .Values.proxy). */}}
{{- define "soundcheck.spread" -}}
{{- with (index . 2).topologyKey }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: {{ . | quote }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "soundcheck.selector" (list (index $ 0) (index $ 1)) | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}

{{/* HTTP probes. Argument: (dict "path" "/readyz" "live" "/healthz" "port" "http"). A pod gets three minutes to start. */}}
{{- define "soundcheck.probes" -}}
startupProbe:
  httpGet: {path: {{ .path }}, port: {{ .port }}}
  periodSeconds: 1
  timeoutSeconds: 3
  failureThreshold: 180
readinessProbe:
  httpGet: {path: {{ .path }}, port: {{ .port }}}
  periodSeconds: 5
  timeoutSeconds: 3
livenessProbe:
  httpGet: {path: {{ default .path .live }}, port: {{ .port }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{/* Type and selector of a Service that users call. Argument: (list . "proxy-service"), or with the component of its pods as third. */}}
{{- define "soundcheck.service" -}}
type: {{ default (first .).Values.service.type (get (first .).Values.service.types (index . 1)) }}
selector:
  {{- include "soundcheck.selector" (list (first .) (last .)) | nindent 2 }}
{{- end -}}

{{/* Annotations of a Service. Argument: (list . "proxy-service"). */}}
{{- define "soundcheck.serviceAnnotations" -}}
{{- with get (first .).Values.service.annotations (last .) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A Service's port with its node port. Argument: (list . "proxy-service" "http" 9070), with appProtocol as fifth. */}}
{{- define "soundcheck.port" -}}
{{- $root := index . 0 -}}
- name: {{ index . 2 }}
  port: {{ index . 3 }}
  targetPort: {{ index . 2 }}
  {{- if gt (len .) 4 }}
  appProtocol: {{ index . 4 }}
  {{- end }}
  {{- with dig (index . 1) (index . 2) "" $root.Values.service.nodePorts }}
  nodePort: {{ . }}
  {{- end }}
{{- end -}}

{{/* Volume of a StatefulSet, or its pod's scratch space. Argument: (list . .Values.jaeger). */}}
{{- define "soundcheck.claim" -}}
{{- $p := (last .).persistence -}}
# Parallel: with OrderedReady, a pod that never becomes ready is not replaced by a corrected one.
podManagementPolicy: Parallel
{{- if $p.enabled }}
persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}
volumeClaimTemplates:
  - apiVersion: v1
    kind: PersistentVolumeClaim
    metadata:
      name: data
    spec:
      accessModes: [ReadWriteOnce]
      {{- with $p.storageClass }}
      storageClassName: {{ . | quote }}
      {{- end }}
      resources:
        requests:
          storage: {{ $p.size }}
{{- end }}
{{- end -}}
