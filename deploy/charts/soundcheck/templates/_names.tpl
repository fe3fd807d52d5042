{{/* Prefix of resource names: at most 37 characters, so that a StatefulSet of otel-collector has 52. Its pods have a
label with its name and a hash. A Service's name has no dots, which a release's may have. */}}
{{- define "soundcheck.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 37 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | replace "." "-" | trunc 37 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | replace "." "-" | trunc 37 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Name of a component's resources. Argument: (list . "proxy-service"). */}}
{{- define "soundcheck.name" -}}
{{- printf "%s-%s" (include "soundcheck.fullname" (first .)) (last .) -}}
{{- end -}}

{{/* Labels that select the pods of a component. Argument: (list . "proxy-service"). */}}
{{- define "soundcheck.selector" -}}
app.kubernetes.io/name: {{ default (first .).Chart.Name (first .).Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ (first .).Release.Name | quote }}
app.kubernetes.io/component: {{ last . }}
{{- end -}}

{{/* Labels of a component's resources. Argument: (list . "proxy-service"). */}}
{{- define "soundcheck.labels" -}}
{{- $root := first . -}}
{{ include "soundcheck.selector" . }}
app.kubernetes.io/part-of: soundcheck
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ default $root.Chart.AppVersion $root.Values.images.tag | trunc 63 | trimAll "-_." | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Metadata of a resource. Argument: (list . "proxy-service"), or with a suffix of the name: (list . "otel-collector" "config"). */}}
{{- define "soundcheck.metadata" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
name: {{ include "soundcheck.name" (list $root $component) }}{{ if gt (len .) 2 }}-{{ index . 2 }}{{ end }}
namespace: {{ $root.Release.Namespace | quote }}
labels:
  {{- include "soundcheck.labels" (list $root $component) | nindent 2 }}
{{- end -}}

{{/* Host of a component's Service, from any namespace. Argument: (list . "jaeger"). */}}
{{- define "soundcheck.host" -}}
{{- printf "%s.%s.svc.%s" (include "soundcheck.name" .) (first .).Release.Namespace (first .).Values.clusterDomain -}}
{{- end -}}

{{/* Image of ours. Argument: (list . .Values.store.image). */}}
{{- define "soundcheck.ourImage" -}}
{{- $root := first . -}}
{{- $image := last . -}}
{{- $registry := default $root.Values.images.registry $image.registry | trimSuffix "/" -}}
{{- if not $registry -}}
{{- fail (printf "images.registry is not set: the registry that has %s, such as k3d-soundcheck-registry:5000 (make k3d-up and make k8s-up build the images and set it)" $image.repository) -}}
{{- end -}}
{{- $registry }}/{{ include "soundcheck.image" (dict "repository" $image.repository "tag" (coalesce $image.tag $root.Values.images.tag $root.Chart.AppVersion) "digest" $image.digest) -}}
{{- end -}}

{{/* Image with its tag and digest. */}}
{{- define "soundcheck.image" -}}
{{- if eq (toString .tag) "latest" -}}
{{- fail (printf "tag latest of image %s: set a version" .repository) -}}
{{- end -}}
{{- if not (or .tag .digest) -}}
{{- fail (printf "image %s has neither tag nor digest: set a version" .repository) -}}
{{- end -}}
{{ .repository }}{{ with .tag }}:{{ . }}{{ end }}{{ with .digest }}@{{ . }}{{ end }}
{{- end -}}

{{- define "soundcheck.otlpHost" -}}
{{ include "soundcheck.host" (list . "otel-collector") }}
{{- end -}}

{{/* OTLP/HTTP endpoint for services. "" without a Collector. */}}
{{- define "soundcheck.otlpEndpoint" -}}
{{- with .Values.telemetry.endpoint -}}
{{ . }}
{{- else -}}
{{- if .Values.collector.enabled -}}
http://{{ include "soundcheck.otlpHost" . }}:4318
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "soundcheck.prometheusUrl" -}}
{{- if .Values.prometheus.enabled -}}
http://{{ include "soundcheck.host" (list . "prometheus") }}:9090
{{- else -}}
{{ .Values.prometheus.externalUrl | trimSuffix "/" }}
{{- end -}}
{{- end -}}

{{- define "soundcheck.jaegerUrl" -}}
{{- if .Values.jaeger.enabled -}}
http://{{ include "soundcheck.host" (list . "jaeger") }}:16696
{{- else -}}
{{ .Values.jaeger.externalUrl | trimSuffix "/" }}
{{- end -}}
{{- end -}}

{{/* URLs of the album store, for the proxy. */}}
{{- define "soundcheck.storeUrl" -}}
{{- if .Values.store.enabled -}}
http://{{ include "soundcheck.host" (list . "album-store") }}:9080
{{- else -}}
{{ .Values.externalStore.url }}
{{- end -}}
{{- end -}}
