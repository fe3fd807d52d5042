package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A start is recorded with its flags, and without what of a database's URL can be secret.
func TestRecord(t *testing.T) {
	if s, err := LastStart(t.TempDir()); s != nil || err != nil {
		t.Errorf("nothing recorded: %+v, %v", s, err)
	}
	l := Lab{State: t.TempDir(), Offset: 100, DB: "postgres://me:secret@h/d?password=secret", From: Source, OTLPEverywhere: true, Grafana: true,
		UserServices: []Service{{Name: "a", Command: "echo 'x' $Y", Dir: "/some where", URL: "http://127.0.0.1:1", Timeout: time.Minute}}}
	if err := l.Record(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(l.State, startName)
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if b, err := os.ReadFile(file); err != nil || strings.Contains(string(b), "secret") {
		t.Errorf("%v, recorded\n%s", err, b)
	}
	s, err := LastStart(l.State)
	if err != nil || !s.PartOfDB || s.Offset != 100 || !s.Of(l) {
		t.Fatalf("%+v, %v", s, err)
	}
	want := "-port-offset 100 -otlp-everywhere=true -from source -grafana=true -with a=echo 'x' $Y -with-timeout 1m0s -with-dir /some where -with-url a=http://127.0.0.1:1 -db postgres://me@h/d -store "
	if got := strings.Join(s.Args, " "); got != want {
		t.Errorf("args\n%s\nwant\n%s", got, want)
	}
	other := l
	other.UserServices = nil
	if s.Of(other) {
		t.Error("it is the start of a lab without -with")
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LastStart(l.State); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a broken file: %v", err)
	}
}

// A free offset is the next one with no taken port, after the highest one from 0 on.
func TestFreeOffset(t *testing.T) {
	below := func(limit int) func(int) bool { return func(port int) bool { return port < limit } }
	for _, tt := range []struct {
		from, limit, want int
		ok                bool
	}{{0, 70000, 100, true}, {100, 32768, 200, true}, {16000, 32768, 0, true}, {25000, 32768, 0, true}, {0, 9000, 0, false}} {
		if got, ok := (Lab{Offset: tt.from}).FreeOffset(below(tt.limit)); got != tt.want || ok != tt.ok {
			t.Errorf("after %d, ports below %d: %d, %t, want %+v", tt.from, tt.limit, got, ok, tt)
		}
	}
}
