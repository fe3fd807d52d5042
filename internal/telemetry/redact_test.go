package telemetry

import (
	"reflect"
	"testing"

	"go.opentelemetry.io/otel/attribute"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ given, want []attribute.KeyValue }{
		"address":     {[]attribute.KeyValue{attribute.String("client.address", "192.0.2.1"), attribute.Int("n", 1)}, []attribute.KeyValue{attribute.Int("n", 1)}},
		"search":      {[]attribute.KeyValue{attribute.String("url.full", "http://h/albums?artist=John+Coltrane&limit=20&x")}, []attribute.KeyValue{attribute.String("url.full", "http://h/albums?artist=REDACTED&limit=20&x")}},
		"query":       {[]attribute.KeyValue{attribute.String("url.query", "artist=A=B&genre=")}, []attribute.KeyValue{attribute.String("url.query", "artist=REDACTED&genre=")}},
		"no query":    {[]attribute.KeyValue{attribute.String("url.full", "http://h/albums/1")}, []attribute.KeyValue{attribute.String("url.full", "http://h/albums/1")}},
		"another key": {[]attribute.KeyValue{attribute.String("db.query.text", "SELECT ?")}, []attribute.KeyValue{attribute.String("db.query.text", "SELECT ?")}},
	} {
		given := append([]attribute.KeyValue{}, tt.given...)
		if got := redact(tt.given); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: redact = %v, want %v", name, got, tt.want)
		}
		if !reflect.DeepEqual(tt.given, given) {
			t.Errorf("%s: the span's own attributes were changed: %v", name, tt.given)
		}
	}
}
