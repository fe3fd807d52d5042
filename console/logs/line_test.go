package logs

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		raw   string
		want  time.Time
		level string
		text  bool
	}{
		{`{"time":"2026-05-04T12:00:00Z","level":"DEBUG-4","msg":"m"}`, noon, "debug", false},
		{`{"level":"fatal","ts":"2026-05-04T14:00:00.000+0200","msg":"m"}`, noon, "error", false},
		{`{"level":"Warning","ts":1777896000,"msg":"m"}`, noon, "warn", false},
		{`{"time":"never","level":7,"msg":"m"}`, time.Time{}, "info", false},
		{`{"msg":"m"}`, time.Time{}, "", false},
		{noon.Local().Format("2006/01/02 15:04:05") + " m", noon, "", true},
		{`fatal error: m`, time.Time{}, "error", true},
		{`{"msg":"m"`, time.Time{}, "", true},
		{`[1]`, time.Time{}, "", true},
		{"\xff", time.Time{}, "", true},
	} {
		l := parse("store", []byte(tt.raw))
		if !l.Time.Equal(tt.want) || l.Level != tt.level || l.Text != tt.text || !tt.text && l.Message != "m" {
			t.Errorf("parse(%s) = %+v, want %v, %q, %v", tt.raw, l, tt.want, tt.level, tt.text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"time":"2026-05-04T12:00:00Z","level":"INFO","msg":"m","a":{"b":[1]}}`))
	f.Add([]byte("2026/05/04 12:00:00 text"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l := parse("s", raw)
		if l.Text && l.Message == "" && len(raw) > 0 {
			t.Errorf("parse(%q) lost the text", raw)
		}
	})
}

// Long texts and attributes are truncated.
func TestClip(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", maxText)
	l := parse("s", []byte(`{"msg":"`+long+`","a":"`+long+`","b":[`+strings.Repeat("1,", maxText)+`1]`+strings.Repeat(`,"c":1`, 2*maxFields)+`}`))
	if len(l.Message) > maxText+3 || !strings.HasSuffix(l.Message, "…") || len(l.Fields) != maxFields {
		t.Errorf("a message of %d bytes, %d attributes", len(l.Message), len(l.Fields))
	}
	for _, f := range l.Fields {
		if len(f.Value) > 2*maxText || !json.Valid(f.Value) {
			t.Errorf("attribute %s has %d bytes", f.Name, len(f.Value))
		}
	}
}
