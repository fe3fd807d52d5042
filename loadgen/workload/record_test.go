package workload

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadRecording(t *testing.T) {
	t.Parallel()
	const head = `{"soundcheck":"recording","version":1}` + "\n"
	for _, tt := range []struct{ in, err string }{
		{head + `{"scheduled_ns":1,"scenario":"get","method":"GET","path":"/albums/1","want":200}`, ""},
		{head + `{"scheduled_ns":1,"scenario":"target","method":"GET","path":"http://x/"}`, ""},
		{"", "not a recording"},
		{"{}", "not a recording"},
		{`{"soundcheck":"recording","version":2}`, "recording version 2, want 1"},
		{head, "no request in the recording"},
		{head + "x", "line 2: invalid character"},
		{head + `{"scheduled_ns":5,"scenario":"get","method":"GET","path":"/"}{"scheduled_ns":4,"scenario":"get","method":"GET","path":"/"}`, "line 3: scheduled_ns is out of range: previous line to 24h"},
		{head + `{"scheduled_ns":99000000000000000,"scenario":"get","path":"/"}`, "line 2: scheduled_ns is out of range"},
		{head + `{"scenario":"buy","path":"/"}`, `line 2: unknown scenario "buy"`},
		{head + `{"scenario":"get","method":"G ET","path":"/"}`, `line 2: "G ET" is not a method`},
		{head + `{"scenario":"get","method":"GET","path":"/","headers":{"A":["b"]}}`, `line 2: json: unknown field "headers"`},
		{head + `{"scenario":"get","method":"GET","path":"/","header":{"host":["a"],"Host":["b"]}}`, "line 2: header Host appears 2 times"},
		{head + `{"scenario":"get","method":"GET","path":"/","header":{"X: 1\r\nY":["b"]}}`, `line 2: "X: 1\r\nY" is not a header name`},
		{head + `{"scenario":"get","method":"GET","path":"/","header":{"X":["a\r\nY: b"]}}`, "line 2: header X has a control character in its value"},
		{head + `{"scenario":"get","method":"GET","path":"/?q=a b"}`, `line 2: "http://service/?q=a b" has a character in its query that must be percent-encoded`},
		{head + `{"scenario":"target","method":"GET","path":"ftp://x"}`, `line 2: "ftp://x" is not an http:// or https:// URL with a host`},
		{head + `{"scenario":"target","method":"GET","path":""}`, "line 2: the path does not begin with /"},
		{head + `{"scenario":"get","method":"GET","path":"x"}`, "line 2: the path does not begin with /"},
		{head + `{"scenario":"get","method":"GET","path":"/"}{"scenario":`, "line 3: unexpected EOF"},
	} {
		path := filepath.Join(t.TempDir(), "recording")
		if err := os.WriteFile(path, []byte(tt.in), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := ReadRecording(path, 0)
		if tt.err == "" && (err != nil || r.requests != 1) || tt.err != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.err)) {
			t.Errorf("%q: %v, want %q", tt.in, err, tt.err)
		}
	}
	if _, err := ReadRecording(filepath.Join(t.TempDir(), "none"), 0); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
}

// A missing request is an error.
func TestRecorderWithAGap(t *testing.T) {
	t.Parallel()
	r, err := NewRecorder(filepath.Join(t.TempDir(), "recording"), "run")
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{1, 0, 3, 4} {
		r.Add(seq, 0, &Request{Scenario: Lookup("get"), Method: "GET", Path: "/"})
	}
	if err := r.Close(); err == nil || err.Error() != "request 2 is missing: 2 later requests not recorded" {
		t.Errorf("%v", err)
	}
}

// Only the owner can read a recording.
func TestRecordingIsPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "requests")
	r, err := NewRecorder(path, "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a recording is %v, %v, want mode 600", info, err)
	}
}

// A recording has no secrets, and names those that a replay needs.
func TestRecordingWithoutSecrets(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "recording")
	r, err := NewRecorder(path, "run")
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range []*Request{
		{Scenario: targetScenario, Method: "GET", Path: "http://me:s3cret@a/b%2Fc?d", Header: http.Header{"Accept": {"x"}}},
		{Scenario: targetScenario, Method: "GET", Path: "http://a/", Header: http.Header{"Authorization": {"Bearer s3cret"}, "x-api-key": {"s3cret"}}},
	} {
		r.Add(uint64(i), 0, q)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(b), "s3cret") || !strings.Contains(string(b), `"path":"http://a/b%2Fc?d","header":{"Accept":["x"]},"withheld":["Authorization"]`) {
		t.Errorf("%s, %v", b, err)
	}
	again, err := ReadRecording(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		over http.Header
		want string
	}{{nil, "Authorization"}, {http.Header{"authorization": {"x"}}, "x-api-key"}, {http.Header{"Authorization": {"x"}, "X-Api-Key": {"y"}}, ""}} {
		if got := again.Withheld(tt.over); got != tt.want {
			t.Errorf("with %v it needs %q, want %q", tt.over, got, tt.want)
		}
	}
}

// A next page that cannot be requested as it is, is not.
func TestPages(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{"/albums?cursor=a%20b": true, "/albums?cursor=a b": false, "/albums?c=\r\nX: y": false, "albums": false, "/%zz": false, "//host/albums": true} {
		if got := isPath(in); got != want {
			t.Errorf("isPath(%q) = %v, want %v", in, got, want)
		}
	}
}
