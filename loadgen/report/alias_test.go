package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// A file with the deprecated keys alone is read as one with the new keys, and both are written.
func TestDeprecatedKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rename := func(o object, typ string) {
		for name, old := range renamedKeys[typ] {
			if value, ok := o[name]; !ok || !reflect.DeepEqual(value, o[old]) {
				t.Errorf("%s has %q %v and %q %v, want the same value", typ, name, value, old, o[old])
			}
			delete(o, name)
		}
	}
	b, err := os.ReadFile("testdata/good.json")
	if err != nil {
		t.Fatal(err)
	}
	var want Report
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	want.Retries = Retries{Policy: "naive", Requests: 2, Attempts: 5}
	want.Histograms = Histograms{"send_delay": {Encoded: "x", Longest: 1}, "service": {Encoded: "y"}}
	if b, err = json.Marshal(want); err != nil {
		t.Fatal(err)
	}
	var old object
	if err := json.Unmarshal(b, &old); err != nil {
		t.Fatal(err)
	}
	rename(old, "Report")
	rename(old.object("retries"), "Retries")
	rename(old.object("histograms"), "Histograms")
	for _, i := range old.list("intervals") {
		rename(i, "Interval")
	}
	if b, err = json.Marshal(old); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, reportFile), b, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(dir); err != nil || !reflect.DeepEqual(got, &want) {
		t.Errorf("read %+v, %v, want %+v", got, err, want)
	}
}

// The new key counts if a file has both.
func TestNewKeyOverridesDeprecated(t *testing.T) {
	t.Parallel()
	var r Retries
	for in, want := range map[string]int{`{"tries":1}`: 1, `{"retry_attempts":2}`: 2, `{"retry_attempts":3,"tries":1}`: 3, `{"tries":1,"retry_attempts":4}`: 4} {
		if err := json.Unmarshal([]byte(in), &r); err != nil || r.Attempts != want {
			t.Errorf("%s: %+v, %v, want %d", in, r, err, want)
		}
	}
	for _, in := range []string{`{"tries":"x"}`, `{"tries":1`, `[]`} {
		if err := json.Unmarshal([]byte(in), &r); err == nil {
			t.Errorf("%s: no error", in)
		}
	}
}
