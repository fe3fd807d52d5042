{{/* Configuration that is merged into collector/config.yaml: lists of pipelines replace those there. */}}
{{- define "soundcheck.collectorConfig" -}}
{{- $c := .Values.collector -}}
{{- $first := list "memory_limiter" -}}
{{- $processors := dict -}}
{{- if $c.k8sAttributes.enabled -}}
{{- $first = append $first "k8s_attributes" -}}
{{- $_ := set $processors "k8s_attributes" dict -}}
{{- end -}}
{{- $traces := $first -}}
{{- if .Values.edge.enabled -}}
{{- $traces = append $traces "attributes/edge" -}}
{{- $processors = merge $processors (.Files.Get "files/collector/edge.yaml" | fromYaml).processors -}}
{{- end -}}
{{- $config := dict
  "receivers" (dict "otlp" (dict "protocols" (dict "grpc" (dict "keepalive" (dict "server_parameters" (dict "max_connection_age" $c.maxConnectionAge "max_connection_age_grace" "10s"))))))
  "exporters" (dict "file" (dict "rotation" (dict "max_megabytes" (max 1 (div (include "soundcheck.bytes" (list "collector.logsSize" $c.logsSize) | int64) 4194304)) "max_backups" 3)))
  "service" (dict
    "pipelines" (dict
      "traces" (dict "processors" (append $traces "transform/valid") "exporters" (ternary (list "otlp_http/jaeger" "span_metrics") (list "otlp_http/jaeger") $c.spanMetrics.enabled))
      "metrics/received" (dict "processors" (concat $first (list "transform/valid" "transform/rejected")) "receivers" (ternary (list "otlp" "span_metrics") (list "otlp") $c.spanMetrics.enabled))
      "logs" (dict "processors" (append $first "transform/valid")))
    "telemetry" (dict "resource" (dict "attributes" (list
      (dict "name" "service.name" "value" "otel-collector")
      (dict "name" "service.namespace" "value" "soundcheck")
      (dict "name" "deployment.environment.name" "value" .Values.environment)
      (dict "name" "k8s.namespace.name" "value" "${env:K8S_NAMESPACE_NAME}")
      (dict "name" "k8s.pod.name" "value" "${env:K8S_POD_NAME}")
      (dict "name" "k8s.pod.uid" "value" "${env:K8S_POD_UID}")
      (dict "name" "k8s.node.name" "value" "${env:K8S_NODE_NAME}"))))) -}}
{{- if $processors -}}
{{- $_ := set $config "processors" $processors -}}
{{- end -}}
{{- toYaml (mergeOverwrite $config (deepCopy $c.config)) -}}
{{- end -}}

{{/* The console as a container in the Collector's pod, whose log file it reads. */}}
{{- define "soundcheck.console" -}}
{{- if .Values.console.enabled }}
{{- $c := .Values.console }}
- name: console
  image: {{ include "soundcheck.ourImage" (list . $c.image) }}
  imagePullPolicy: {{ .Values.images.pullPolicy }}
  args:
    - -addr=:3300
    {{- if $c.tracesPage }}
    - -traces-addr=:16696
    {{- end }}
    - -prometheus={{ include "soundcheck.prometheusUrl" . }}
    - -jaeger={{ include "soundcheck.jaegerUrl" . }}
    - -state=/state
  env:
    {{- $probes := list (printf "otel-collector=http://127.0.0.1:13133/") }}
    {{- if .Values.store.enabled }}{{ $probes = append $probes (printf "album-store=http://%s:9080/readyz" (include "soundcheck.host" (list . "album-store"))) }}{{ end }}
    {{- if .Values.proxy.enabled }}{{ $probes = append $probes (printf "proxy-service=http://%s:9070/readyz" (include "soundcheck.host" (list . "proxy-service"))) }}{{ end }}
    {{- if .Values.jaeger.enabled }}{{ $probes = append $probes (printf "jaeger=http://%s:14133/" (include "soundcheck.host" (list . "jaeger"))) }}{{ end }}
    {{- if .Values.prometheus.enabled }}{{ $probes = append $probes (printf "prometheus=%s/-/ready" (include "soundcheck.prometheusUrl" .)) }}{{ end }}
    {{- if .Values.loki.enabled }}{{ $probes = append $probes (printf "loki=http://%s:3100/ready" (include "soundcheck.host" (list . "loki"))) }}{{ end }}
    {{- if .Values.grafana.enabled }}{{ $probes = append $probes (printf "grafana=http://%s:3000/api/health" (include "soundcheck.host" (list . "grafana"))) }}{{ end }}
    {{- $env := dict "SOUNDCHECK_CONSOLE_CONTAINERS" (join "," $probes) "GOMEMLIMIT" (include "soundcheck.memory" (list $c.resources 80)) }}
    {{- include "soundcheck.env" (list $env $c.env) | nindent 4 }}
  ports:
    - {name: console, containerPort: 3300}
    {{- if $c.tracesPage }}
    - {name: traces, containerPort: 16696}
    {{- end }}
  {{- include "soundcheck.probes" (dict "path" "/readyz" "port" "console") | nindent 2 }}
  {{- include "soundcheck.container" . | nindent 2 }}
  resources:
    {{- toYaml $c.resources | nindent 4 }}
  volumeMounts:
    - {name: logs, mountPath: /state/logs, readOnly: true}
    - {name: runs, mountPath: /state/runs}
{{- end }}
{{- end -}}
