package kubernetes

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

// Each file has a name of its own that a key of a Secret can have.
func TestFileNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 127)
	files := Files{}
	for _, tt := range []struct{ flag, path, want string }{
		{"cacert", "a/body-orders", "body-orders"},
		{"data", "./the rows.jsonl", "the_rows.jsonl"},
		{"targets", "-", "targets"},
		{"data", "a/orders", "orders"},
		{"targets", "b/orders", "targets-orders"},
		{"body", "orders", "body-body-orders"},
		{"body", "..", "body"},
		{"body", "empty", "empty"},
		{"targets", "a/empty", "targets-empty"},
		{"body", strings.Repeat("b", 250) + ".json", strings.Repeat("b", maxName-5) + ".json"},
		{"data", long + "a", "a"},
	} {
		if name, err := files.Add(tt.flag, tt.path, nil); err != nil || name != tt.want {
			t.Errorf("-%s %s: %v, %s, want %s", tt.flag, tt.path, err, name, tt.want)
		}
	}
}

// Helm reads the values as YAML, whose text has fewer characters than that of JSON.
func TestValues(t *testing.T) {
	t.Parallel()
	files := Files{"a": "a\x00\t\r\n\u0085\u007f\u0080\u009f\u00a0\ufffd\ufffe\uffff\u2028é😀\ufeff<>"}
	b, err := Values(files)
	if err != nil || strings.ContainsAny(string(b), "\x00\t\r\n\u0085\u007f\u0080\u009f\ufffe\uffff\u2028") {
		t.Errorf("%v, %q", err, b)
	}
	var got Files
	if err := json.Unmarshal(b, &got); err != nil || !maps.Equal(got, files) {
		t.Errorf("%v, %q, want %q", err, got, files)
	}
}
