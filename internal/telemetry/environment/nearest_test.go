package environment

import "testing"

// Names with up to three wrong letters are recognized, and no right name is nearer to another.
func TestNearest(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"OTEL_TRACE_EXPORTER": "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINTS": "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_NOTHING_LIKE_IT_AT_ALL": ""} {
		if got := Nearest(name); got != want {
			t.Errorf("Nearest(%s) = %s, want %s", name, got, want)
		}
	}
	for _, name := range Names() {
		if got := Nearest(name); got != name {
			t.Errorf("Nearest(%s) = %s", name, got)
		}
	}
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"a", "a", 0}} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%s, %s) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
