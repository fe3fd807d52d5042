package workload

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
)

func TestContent(t *testing.T) {
	t.Parallel()
	zip := func(text string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(text))
		_ = z.Close()
		return b.Bytes()
	}
	for name, tt := range map[string]struct {
		coding string
		body   []byte
		more   uint64 // bytes that were not kept
		want   string
		err    string
	}{
		"plain":          {"", []byte("text"), 0, "text", ""},
		"identity":       {"Identity", []byte("text"), 0, "text", ""},
		"gzip":           {"gzip", zip("text"), 0, "text", ""},
		"gzip, no body":  {"gzip", nil, 0, "", ""},
		"not gzip":       {"gzip", []byte("text"), 0, "", "not gzip"},
		"half of gzip":   {"gzip", zip("text")[:12], 0, "", "not gzip"},
		"unknown coding": {"br", []byte("x"), 0, "", `content coding "br"`},
		"beginning":      {"", []byte("text"), 1, "", "has 5 bytes, at most 4"},
		"small zip, big": {"gzip", zip(strings.Repeat("a", MaxBody+1)), 0, "", "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := Response{Header: http.Header{"Content-Encoding": {tt.coding}}, Body: tt.body, Size: uint64(len(tt.body)) + tt.more}.Content()
			if string(b) != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q, %v, want %q, %q", b, err, tt.want, tt.err)
			}
		})
	}
}
