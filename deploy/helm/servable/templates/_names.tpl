{{- /* Labels by which objects find each other: (dict "root" $ "name" "gateway"). */ -}}
{{- define "servable.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/part-of: servable
{{- end }}

{{- define "servable.labels" -}}
{{ include "servable.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "servable.registryAddress" -}}
{{ .Release.Name }}-model-registry:8101
{{- end }}

{{- define "servable.trainingAddress" -}}
{{ .Release.Name }}-training:8102
{{- end }}
