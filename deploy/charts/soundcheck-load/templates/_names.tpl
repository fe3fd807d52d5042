{{/* Prefix of resource names: the release's, at most 45 characters, so that a pod of the coordinator (PREFIX-coordinator-xxxxx) and of
worker 999 (PREFIX-worker-999-xxxxx) have 63. Releases differ at the end of their names, by date or number: a hash replaces what is cut. */}}
{{- define "soundcheck-load.fullname" -}}
{{- $name := .Release.Name | replace "." "-" -}}
{{- if gt (len $name) 45 -}}
{{- printf "%s-%s" ($name | trunc 36 | trimSuffix "-") (.Release.Name | sha256sum | trunc 8) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{/* Name of a component's resources. Argument: (list . "worker"). */}}
{{- define "soundcheck-load.name" -}}
{{- printf "%s-%s" (include "soundcheck-load.fullname" (first .)) (last .) -}}
{{- end -}}

{{/* Labels that select the pods of a component. Argument: (list . "worker"). */}}
{{- define "soundcheck-load.selector" -}}
app.kubernetes.io/name: {{ (first .).Chart.Name }}
app.kubernetes.io/instance: {{ (first .).Release.Name | quote }}
app.kubernetes.io/component: {{ last . }}
{{- end -}}

{{/* Labels of a component's resources. Argument: (list . "worker"). part-of is not the lab's, whose tools select the lab by it. */}}
{{- define "soundcheck-load.labels" -}}
{{- $root := first . -}}
{{ include "soundcheck-load.selector" . }}
app.kubernetes.io/part-of: soundcheck-load
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ default $root.Chart.AppVersion $root.Values.image.tag | trunc 63 | trimAll "-_." | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Metadata of a resource. Argument: (list . "worker"). */}}
{{- define "soundcheck-load.metadata" -}}
name: {{ include "soundcheck-load.name" . | quote }}
namespace: {{ (first .).Release.Namespace | quote }}
labels:
  {{- include "soundcheck-load.labels" . | nindent 2 }}
{{- end -}}

{{/* Image with its tag and digest. */}}
{{- define "soundcheck-load.image" -}}
{{- $i := .Values.image -}}
{{- if not $i.repository -}}
{{- fail "image.repository is not set: the image of loadgen, which is published nowhere. go run ./deploy push builds it, pushes it to a registry and prints its name; loadgen k8s takes the one of the lab" -}}
{{- end -}}
{{- if eq (toString $i.tag) "latest" -}}
{{- fail (printf "image.tag is latest: set a version of image %s" $i.repository) -}}
{{- end -}}
{{- if not (or $i.tag $i.digest) -}}
{{- fail (printf "image %s has neither image.tag nor image.digest: set a version" $i.repository) -}}
{{- end -}}
{{ $i.repository }}{{ with $i.tag }}:{{ . }}{{ end }}{{ with $i.digest }}@{{ . }}{{ end }}
{{- end -}}
