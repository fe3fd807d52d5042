package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"soundcheck/loadgen/report"
)

// service is any service, without a probe. It stores each request.
type service struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func newService(t *testing.T) *service {
	t.Helper()
	s := new(service)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		text := r.Method + " " + r.RequestURI + " " + string(b)
		for _, name := range []string{"Authorization", "X-Key", "User-Agent", "Baggage"} {
			if v := r.Header.Get(name); v != "" && v != "Go-http-client/1.1" {
				text += "|" + name + ": " + v
			}
		}
		if r.Host == "other" {
			text += "|Host"
		}
		s.mu.Lock()
		s.seen = append(s.seen, strings.TrimSpace(text))
		s.mu.Unlock()
		switch r.URL.Path {
		case "/busy":
			w.WriteHeader(http.StatusTooManyRequests)
		case "/private":
			if r.Header.Get("Authorization") == "" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// take returns the requests so far, each once, in order.
func (s *service) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.seen
	s.seen = nil
	slices.Sort(list)
	return slices.Compact(list)
}

// A URL is all that a run needs, and flags may follow it.
func TestURL(t *testing.T) {
	t.Parallel()
	s := newService(t)
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, []byte("of a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(s.URL, "http://")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{s.URL}, "GET /"},
		{[]string{s.URL + "/a%2Fb%7e/?q=%20+1&q"}, "GET /a%2Fb%7e/?q=%20+1&q"},
		{[]string{s.URL + "/ü#fragment"}, "GET /%C3%BC"},
		{[]string{s.URL + "/x", "-body", "text"}, "POST /x text"},
		{[]string{s.URL + "/x", "-body", "@" + body, "-method", "PUT"}, "PUT /x of a file"},
		{[]string{"-method", "DELETE", s.URL + "/x"}, "DELETE /x"},
		{[]string{s.URL, "-H", "x-key: a:b", "-user-agent", "me", "-baggage", "a=1", "-H", "host: other"}, "GET / |X-Key: a:b|User-Agent: me|Baggage: a=1|Host"},
		{[]string{s.URL, "-basic-auth", "me:pass:word"}, "GET / |Authorization: Basic bWU6cGFzczp3b3Jk"},
		{[]string{"http://me:p%40ss@" + host + "/private"}, "GET /private |Authorization: Basic bWU6cEBzcw=="},
		{[]string{s.URL + "/busy", "-expect", "2xx,429"}, "GET /busy"},
		{[]string{"attack", s.URL}, "GET /"},
	} {
		stdout, stderr, code := loadgen(t.Context(), slices.Concat(tt.args, []string{"-rate", "100", "-n", "3", "-slo", "good>=100%", "-slo", "p99(target)<=10s"})...)
		wantDone(t, stdout, stderr, code)
		if got := s.take(); len(got) != 1 || got[0] != tt.want {
			t.Errorf("%q: the service got %q, want %q", tt.args, got, tt.want)
		}
	}
	// The headers are sent to the album service too, with the probe.
	tg := newTarget(t, nil)
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Gateway") != "key" || r.Host != "albums" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		tg.Config.Handler.ServeHTTP(w, r)
	}))
	defer gateway.Close()
	stdout, stderr, code := loadgen(t.Context(), "-url", gateway.URL, "-rate", "100", "-n", "20", "-H", "X-Gateway: key", "-H", "Host: albums")
	wantDone(t, stdout, stderr, code)
	if _, stderr, code := loadgen(t.Context(), "-url", gateway.URL, "-rate", "100", "-n", "20"); code != 1 || !strings.Contains(stderr, "401") {
		t.Errorf("without the header: exit code %d, %s", code, stderr)
	}
	stdout, stderr, code = loadgen(t.Context(), "-url", tg.URL, "-rate", "100", "-n", "20", "-expect", "404", "-mix", "miss=1", "-expect", "miss=4xx")
	wantDone(t, stdout, stderr, code)
}

func TestURLUsage(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"shop.example/api":                 `"shop.example/api" is not a URL: it begins with http:// or https://, as in http://shop.example/api`,
		"localhost:8080":                   `"localhost:8080" is not a URL: it begins with http:// or https://, as in http://localhost:8080`,
		":8080/a":                          `":8080/a" is not a URL: it begins with http:// or https://, as in http://localhost:8080/a`,
		"/a":                               `"/a" is not a URL: it begins with http:// or https://, as in http://localhost/a`,
		"ftp://a":                          `"ftp://a" is not an http:// or https:// URL with a host`,
		"http://":                          `"http://" is not an http:// or https:// URL with a host`,
		"http://a -rate 5 http://b":        "one URL is expected, and http://b is another one: -targets sends to several",
		"http://a b":                       `unexpected argument "b"`,
		"http://me:secret@a -url http://b": "-url and http://a do not go together",
		"http://a -mix get=1":              "-mix and http://a do not go together",
		"http://a -targets f":              "-targets and http://a do not go together",
		"http://a -replay f":               "-replay and http://a do not go together",
		"http://a -H secret":               "-H: header 1 has no colon, as in 'Accept: text/plain'",
		"http://a -basic-auth secret":      "-basic-auth has no colon, as in user:password",
		"http://a -basic-auth a:b -H Authorization:c":                                                     "-basic-auth and -H Authorization do not go together",
		"http://me:secret@a -basic-auth a:b":                                                              "the URL has a user, and -basic-auth or -H Authorization do not go together with it",
		"http://a -user-agent x -H user-agent:y":                                                          "-user-agent and -H User-Agent do not go together",
		"http://a -trace-sample 1 -H traceparent:00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01": "-trace-sample and -H traceparent, which has the sampling decision, do not go together",
		"http://a -baggage =":                                                                             "-baggage: ",
		"http://a -expect 2yy":                                                                            `-expect: "2yy" is not a status (100 to 599) or a class (1xx to 5xx), as in 200,204 or 2xx`,
		"http://a -expect get=200":                                                                        "-expect get: scenario get is not in the workload",
		"http://a -body @/none":                                                                           "-body: open /none: no such file or directory",
		"-body x":                                                                                         "-method and -body are of the request of a URL argument, as in loadgen -body @order.json http://host/orders",
		"-data x":                                                                                         "-data is for placeholders in a URL argument or -targets",
		"http://a -data /none":                                                                            "-data: open /none: no such file or directory",
		"http://a/{{id}}":                                                                                 "placeholder {{id}} needs -data",
		"-each-once":                                                                                      "-each-once needs -targets, or a URL argument with -data",
		"-join http://a http://b":                                                                         "-join and http://b do not go together: the coordinator has the flags of the run",
	} {
		stdout, stderr, code := loadgen(t.Context(), strings.Fields(args)...)
		if code != 2 || stdout != "" || !strings.HasPrefix(stderr, "loadgen: "+want) || !strings.HasSuffix(stderr, "\nrun \"loadgen -h\" for help\n") || strings.Contains(stderr, "secret") {
			t.Errorf("loadgen %s: exit code %d, %q, want 2, %q", args, code, stderr, want)
		}
	}
}

// Other commands send the request of a URL or a path.
func TestURLOfCommands(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var r struct{ Steps []any }
	stdout, stderr, _ := loadgen(t.Context(), "capacity", s.URL+"/c?d", "-slo", "p50<=10s,good>=90%", "-step", "2s", "-warmup", "0s", "-from", "20", "-to", "20/s", "-format", "json", "-H", "X-Key: k")
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || len(r.Steps) == 0 {
		t.Errorf("%v, %s\n%s", err, stderr, stdout)
	}
	if got := s.take(); len(got) != 1 || got[0] != "GET /c?d |X-Key: k" {
		t.Errorf("capacity sent %q", got)
	}
	stdout, stderr, code := loadgen(t.Context(), "ab", "-a", s.URL, "-b", s.URL+"/v2/", "/x%2F?y", "-body", "z", "-rate", "50", "-block", "200ms", "-duration", "6400ms", "-warmup", "0s")
	if code != 0 && code != 3 && code != 5 || !strings.Contains(stdout, s.URL+"/v2/x%2F?y") {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
	if got := s.take(); fmt.Sprint(got) != "[POST /v2/x%2F?y z POST /x%2F?y z]" {
		t.Errorf("ab sent %q", got)
	}
}

// Each row of a data file is sent once.
func TestData(t *testing.T) {
	t.Parallel()
	s := newService(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	csv := write("d.csv", "id,key\n1,a b\n2,c\n3,d/e\n")
	for _, tt := range []struct{ args, want []string }{
		{[]string{s.URL + "/{{id}}?k={{key}}", "-data", csv, "-H", "X-Key: <{{key}}>"}, []string{"GET /1?k=a%20b |X-Key: <a b>", "GET /2?k=c |X-Key: <c>", "GET /3?k=d%2Fe |X-Key: <d/e>"}},
		{[]string{"-data", csv, "-targets", write("t", "GET "+s.URL+"/x/{{id}}\nX-Key: {{key}}\n\nGET "+s.URL+"/y\n")}, []string{"GET /x/1 |X-Key: a b", "GET /x/3 |X-Key: d/e", "GET /y"}},
		{[]string{"-targets", write("u", "GET "+s.URL+"/1\nGET "+s.URL+"/2\n"), "-H", "X-Key: z"}, []string{"GET /1 |X-Key: z", "GET /2 |X-Key: z"}},
		{[]string{"-targets", filepath.Join(dir, "u"), "-rate", "0", "-workers", "2"}, []string{"GET /1", "GET /2"}},
	} {
		args := append([]string{"-each-once", "-rate", "100"}, tt.args...)
		stdout, stderr, code := loadgen(t.Context(), args...)
		wantDone(t, stdout, stderr, code)
		if got := s.take(); !slices.Equal(got, tt.want) || !strings.Contains(stdout, "limit         end of the targets (-each-once)\n") {
			t.Errorf("%q: the service got %q, want %q\n%s", args, got, tt.want, stdout)
		}
	}
}

// stream runs loadgen with a pipe as its stdin.
func stream(t *testing.T, text string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() // else the garbage collector may do so, before it is opened by its number
	go func() {
		_, err := io.WriteString(w, text)
		if err := errors.Join(err, w.Close()); err != nil {
			t.Error(err)
		}
	}()
	return loadgen(t.Context(), append([]string{"-targets", fmt.Sprintf("/dev/fd/%d", r.Fd())}, args...)...)
}

// Targets of a pipe are sent once or round robin. An invalid one ends the run, with a report.
func TestStream(t *testing.T) {
	t.Parallel()
	s := newService(t)
	text := "GET " + s.URL + "/1\n\nGET " + s.URL + "/2\n\n"
	stdout, stderr, code := stream(t, text, "-each-once", "-rate", "100")
	wantDone(t, stdout, stderr, code)
	if !strings.Contains(stdout, "\nrequests      2 of 2 planned, in ") || !strings.Contains(stdout, "limit         end of the targets (-each-once)\n") {
		t.Errorf("each once:\n%s", stdout)
	}
	stdout, stderr, code = stream(t, text, "-n", "7", "-rate", "100")
	wantDone(t, stdout, stderr, code)
	if !strings.Contains(stdout, "\nrequests      7 of 7 planned, in ") {
		t.Errorf("round robin:\n%s", stdout)
	}
	stdout, stderr, code = stream(t, text+"Authorization secret\n", "-rate", "100")
	if code != 1 && code != 4 || !strings.Contains(stderr, ":5: ") || !strings.Contains(stdout, "ended early   invalid input of -targets\n") || !strings.Contains(stdout, "\nrequests      2 of 2 planned, in ") {
		t.Errorf("an invalid line: exit code %d, %s\n%s", code, stderr, stdout)
	}
	if got := s.take(); len(got) != 2 {
		t.Errorf("the service got %q", got)
	}
}

// Secrets are sent, and in no file or output.
func TestSecrets(t *testing.T) {
	t.Parallel()
	s := newService(t)
	dir := t.TempDir()
	host := strings.TrimPrefix(s.URL, "http://")
	for i, args := range [][]string{
		{s.URL + "/private", "-H", "Authorization: Bearer s3cret"},
		{s.URL + "/private", "-basic-auth", "s3cret:s3cret"},
		{"http://s3cret:s3cret@" + host + "/private"},
		{"-targets", "-"},
	} {
		if args[0] == "-targets" {
			args[1] = filepath.Join(dir, "targets")
			if err := os.WriteFile(args[1], []byte("GET http://me:s3cret@"+host+"/private\n\nGET "+s.URL+"/private\nauthorization: s3cret\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(args[1])
		}
		out, record := filepath.Join(dir, fmt.Sprint("out", i)), filepath.Join(dir, fmt.Sprint("record", i))
		stdout, stderr, code := loadgen(t.Context(), append(args, "-rate", "100", "-n", "4", "-out", out, "-record", record, "-slo", "good>=100%")...)
		wantDone(t, stdout, stderr, code)
		check := func(name string, b []byte) {
			if bytes.Contains(b, []byte("s3cret")) || bytes.Contains(b, []byte("czNjcmV0")) { // in base64 too
				t.Errorf("%q: %s has the secret", args, name)
			}
		}
		r, err := report.Read(out)
		if err != nil || len(r.Slowest) != 4 {
			t.Fatal(err, r)
		}
		for _, slow := range r.Slowest {
			span := fmt.Append(nil, sink.Trace(slow.TraceID))
			if check("the span", span); !bytes.Contains(span, []byte("/private")) {
				t.Errorf("the span of trace %s is %s", slow.TraceID, span)
			}
		}
		check("stdout", []byte(stdout))
		check("stderr", []byte(stderr))
		err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || d.Name() == "targets" {
				return err
			}
			b, err := os.ReadFile(path)
			check(path, b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		// A replay needs the secret.
		if _, stderr, code := loadgen(t.Context(), "-replay", record); code != 2 || !strings.HasPrefix(stderr, "loadgen: -replay "+record+": header Authorization is a secret and not in the recording: set it with -H\n") {
			t.Errorf("%q: replay: exit code %d, %s", args, code, stderr)
		}
		stdout, stderr, code = loadgen(t.Context(), "-replay", record, "-H", "Authorization: Bearer s3cret", "-slo", "good>=100%")
		wantDone(t, stdout, stderr, code)
		s.take()
	}
	// The environment has one header a line, and the command line replaces them.
	env := map[string]string{prefix + "_H": "A: 1\nB: 2", prefix + "_BASIC_AUTH": "a:b"}
	getenv := func(name string) string { return env[name] }
	c, _, err := parseAttack([]string{"http://a"}, getenv, io.Discard, nil)
	if h := c.Targets[0].Header; err != nil || h.Get("A") != "1" || h.Get("B") != "2" || h.Get("Authorization") != "Basic YTpi" {
		t.Errorf("%v, %v", h, err)
	}
	c, _, err = parseAttack([]string{"-H", "C: 3"}, getenv, io.Discard, nil)
	if err != nil || len(c.Header) != 2 || c.Header.Get("C") != "3" {
		t.Errorf("%v, %v", c.Header, err)
	}
}
