package engine

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/connect/connecttest"
	"soundcheck/loadgen/measure"
)

// redirecting responds to /STATUS/TARGET with a redirect, else with what it got.
func redirecting(got *tally) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got.add(fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), b))
		var status int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d/", &status); err == nil {
			target := r.URL.Path[5:]
			if q := r.URL.Query().Get("to"); q != "" {
				target = q
			}
			if target != "none" {
				w.Header().Set("Location", target)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "moved")
		}
	})
}

// Redirects change method, body and headers as clients do.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var elsewhere tally
	second := connecttest.Start(t, redirecting(&elsewhere), nil, (*http.Protocols).SetHTTP1)
	for _, p := range protocols {
		for _, tt := range []struct {
			method, path string
			want         []string // requests
			second       string   // to the other server
		}{
			{"POST", "/301/../end", []string{"POST /301/../end k text/plain body", "GET /end k  "}, ""},
			{"POST", "/302//end", []string{"POST /302//end k text/plain body", "GET /end k  "}, ""},
			{"PUT", "/303//end", []string{"PUT /303//end k text/plain body", "GET /end k  "}, ""},
			{"POST", "/307//end", []string{"POST /307//end k text/plain body", "POST /end k text/plain body"}, ""},
			{"POST", "/308//end", []string{"POST /308//end k text/plain body", "POST /end k text/plain body"}, ""},
			{"POST", "/308//302//end", []string{"POST /308//302//end k text/plain body", "POST /302//end k text/plain body", "GET /end k  "}, ""},
			{"POST", "/307/x?to=" + second.URL + "/end", []string{"POST /307/x k text/plain body"}, "POST /end  text/plain body"},
			{"POST", "/300//end", []string{"POST /300//end k text/plain body"}, ""},
			{"POST", "/302/none", []string{"POST /302/none k text/plain body"}, ""},
		} {
			t.Run(p.name+" "+tt.path, func(t *testing.T) {
				var got tally
				elsewhere.by = nil
				s, o := p.start(t, redirecting(&got))
				o.Redirects = 3
				if p.version == connect.H2C && tt.second != "" {
					t.Skip("the second server has HTTP/1.1 only")
				}
				body := t.TempDir() + "/body"
				if err := os.WriteFile(body, []byte("body"), 0o600); err != nil {
					t.Fatal(err)
				}
				r, spans := targeted(t, o, 1, tt.method+" "+s.URL+tt.path+"\nAuthorization: k\nContent-Type: text/plain\n@"+body+"\n")
				if r.Sent != 1 || r.Classes[measure.Good] != 1 {
					t.Fatalf("%v, %v, %s", r.Classes, r.Errors, r.FirstError)
				}
				want := map[string]int{}
				for _, w := range tt.want {
					want[w]++
				}
				if !maps.Equal(got.by, want) {
					t.Errorf("requests %v, want %v", got.by, want)
				}
				hops := len(tt.want)
				if tt.second != "" {
					if hops++; elsewhere.by[tt.second] != 1 {
						t.Errorf("the other server got %v, want %q", elsewhere.by, tt.second)
					}
				}
				// A span for each hop, and one for the request.
				clients, resent := 0, 0
				for _, span := range spans.Ended() {
					if span.SpanKind() != trace.SpanKindClient {
						continue
					}
					clients++
					for _, a := range span.Attributes() {
						if a.Key == resendKey {
							resent += int(a.Value.AsInt64())
						}
					}
					if !span.Parent().IsValid() || span.SpanContext().TraceID() != spans.Ended()[0].SpanContext().TraceID() {
						t.Errorf("span %v has no parent in the trace", span.SpanContext())
					}
				}
				if clients != hops || resent != hops*(hops-1)/2 || len(spans.Ended()) != hops+1 {
					t.Errorf("%d client spans of %d, resend counts %d, want %d hops", clients, len(spans.Ended()), resent, hops)
				}
			})
		}
	}
}

// Without -follow-redirects a redirect is the response. Endless and unusable ones fail.
func TestRedirectsEnd(t *testing.T) {
	t.Parallel()
	var got tally
	s, o := protocols[0].start(t, redirecting(&got))
	for _, tt := range []struct {
		redirects  int
		path, want string
	}{
		{0, "/302//end", ""},
		{2, "/302//302//end", ""},
		{1, "/302//302//end", "too many redirects"},
		{5, "/302/x?to=ftp://127.0.0.1/", "invalid redirect"},
		{5, "/302/x?to=http://%25%25/", "invalid redirect"},
	} {
		o.Redirects = tt.redirects
		r, spans := targeted(t, o, 5, "GET "+s.URL+tt.path+"\n")
		if tt.want == "" && r.Classes[measure.Good] != 5 || tt.want != "" && (r.Errors[tt.want] != 5 || !strings.Contains(r.FirstError, "redirect")) {
			t.Errorf("%s: %v, %v, %s, want %q", tt.path, r.Classes, r.Errors, r.FirstError, tt.want)
		}
		if tt.redirects == 0 && len(spans.Ended()) != 5 {
			t.Errorf("%d spans, want 5", len(spans.Ended()))
		}
	}
	loop := connecttest.Start(t, http.RedirectHandler("/", http.StatusFound), nil, (*http.Protocols).SetHTTP1)
	o.Redirects = connect.MaxRedirects
	if r, _ := targeted(t, o, 5, "GET "+loop.URL+"\n"); r.Errors["too many redirects"] != 5 || loop.Connections.Load() > 5 {
		t.Errorf("%v, %d connections", r.Errors, loop.Connections.Load())
	}
}

// http:// and https:// of a host have different ports in metrics, for instance after a redirect.
func TestPorts(t *testing.T) {
	t.Parallel()
	keys := map[clientKey]bool{}
	for _, address := range []string{"http://h/", "https://h/"} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		keys[keyOf("GET", u, 200, nil)] = true
	}
	if len(keys) != 2 {
		t.Errorf("%v: one key, want two", keys)
	}
}
