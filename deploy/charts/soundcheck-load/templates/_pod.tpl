{{/* Environment as a list sorted by name, so that each name is there once and $(K8S_…) is defined before OTEL_…
refers to it. Argument: a list of maps, of which later ones win. Values are strings or maps with valueFrom; null removes a name. */}}
{{- define "soundcheck-load.env" -}}
{{- $env := dict -}}
{{- range . }}{{ range $name, $value := . }}{{ $_ := set $env $name $value }}{{ end }}{{ end -}}
{{- range $name, $value := $env }}
{{- if kindIs "map" $value }}
- name: {{ $name | quote }}
  {{- toYaml $value | nindent 2 }}
{{- else if not (kindIs "invalid" $value) }}
- name: {{ $name | quote }}
  {{- /* Numbers of values are floating-point: 1000000 would become 1e+06. */}}
  value: {{ if and (kindIs "float64" $value) (eq ($value | int64 | float64) $value) }}{{ $value | int64 | quote }}{{ else }}{{ $value | toString | quote }}{{ end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* 80% of the memory limit, in bytes: the garbage collector works harder before the kernel kills the process. "" without a limit. */}}
{{- define "soundcheck-load.goMemory" -}}
{{- with dig "limits" "memory" "" .resources -}}
{{- $units := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "" 1 -}}
{{- $text := ternary (. | int64 | toString) (. | toString) (kindIs "float64" .) -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{- if not (and (hasKey $units $unit) (regexMatch "^[0-9]+[A-Za-z]*$" $text)) -}}
{{- fail (printf "resources.limits.memory %q: write an integer with Ki, Mi, Gi, Ti, k, M, G, T or no unit" $text) -}}
{{- end -}}
{{- div (mul (regexFind "^[0-9]+" $text | int64) (get $units $unit) 80) 100 -}}
{{- end -}}
{{- end -}}

{{/* Container of loadgen, without its ports. Argument: (list . "worker" .Values.worker (list "-join" …) (dict "NAME" VALUE)). */}}
{{- define "soundcheck-load.container" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $c := index . 2 -}}
{{- $otlp := $root.Values.otlp -}}
{{- $env := dict "GOMEMLIMIT" (include "soundcheck-load.goMemory" $c) -}}
{{- if and $otlp.endpoint (eq $name "worker") -}}
{{- range $key, $path := dict "POD_NAME" "metadata.name" "POD_UID" "metadata.uid" "NAMESPACE_NAME" "metadata.namespace" "NODE_NAME" "spec.nodeName" -}}
{{- $_ := set $env (printf "K8S_%s" $key) (dict "valueFrom" (dict "fieldRef" (dict "apiVersion" "v1" "fieldPath" $path))) -}}
{{- end -}}
{{- $_ := set $env "OTEL_EXPORTER_OTLP_ENDPOINT" $otlp.endpoint -}}
{{- $_ := set $env "OTEL_EXPORTER_OTLP_PROTOCOL" $otlp.protocol -}}
{{- $_ := set $env "OTEL_RESOURCE_ATTRIBUTES" (printf "deployment.environment.name=k8s,k8s.namespace.name=$(K8S_NAMESPACE_NAME),k8s.pod.name=$(K8S_POD_NAME),k8s.pod.uid=$(K8S_POD_UID),k8s.node.name=$(K8S_NODE_NAME),k8s.container.name=%s" $name) -}}
{{- else -}}
{{- $_ := set $env "OTEL_SDK_DISABLED" "true" -}}
{{- end -}}
{{- $token := dict "name" (include "soundcheck-load.name" (list $root "token")) "key" "token" -}}
{{- $_ := set $env "SOUNDCHECK_LOADGEN_TOKEN" (dict "valueFrom" (dict "secretKeyRef" $token)) -}}
{{- if eq $name "coordinator" -}}
{{- range $key, $_ := $root.Values.secretEnv -}}
{{- $_ := set $env $key (dict "valueFrom" (dict "secretKeyRef" (dict "name" $token.name "key" $key))) -}}
{{- end -}}
{{- end -}}
{{- $resources := deepCopy $c.resources -}}
{{- if and (dig "limits" "memory" "" $resources) (not (dig "requests" "memory" "" $resources)) -}}
{{- /* As Kubernetes does it; quota and scheduler see it here. */ -}}
{{- $resources = merge (dict "requests" (dict "memory" $resources.limits.memory)) $resources -}}
{{- end -}}
- name: {{ $name }}
  image: {{ include "soundcheck-load.image" $root | quote }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  args:
    {{- toYaml (index . 3) | nindent 4 }}
  env:
    {{- include "soundcheck-load.env" (list $env (index . 4) $c.env) | nindent 4 }}
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: {drop: [ALL]}
  resources:
    {{- toYaml $resources | nindent 4 }}
{{- end -}}

{{/* Metadata of a component's pods. Argument: (list . "worker"). */}}
{{- define "soundcheck-load.podMetadata" -}}
labels:
  {{- include "soundcheck-load.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: soundcheck-load
annotations:
  # A pod that is moved to another node ends the run.
  cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
  karpenter.sh/do-not-disrupt: "true"
{{- end -}}

{{/* Fields of every pod. Argument: (list . .Values.worker). */}}
{{- define "soundcheck-load.pod" -}}
{{- $root := first . -}}
{{- $c := last . -}}
restartPolicy: Never
automountServiceAccountToken: false
enableServiceLinks: false
{{- $context := dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "fsGroup" 65532 "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- range $name, $value := $root.Values.securityContext }}
{{- if kindIs "invalid" $value }}{{ $_ := unset $context $name }}{{ else }}{{ $_ := set $context $name $value }}{{ end }}
{{- end }}
securityContext:
  {{- toYaml $context | nindent 2 }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- range $field := list "nodeSelector" "tolerations" "affinity" }}
{{- with get $c $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}
