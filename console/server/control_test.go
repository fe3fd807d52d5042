package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"soundcheck/console/load"
	"soundcheck/internal/fault"
)

// request is one to a resource that changes something, as the console's own page sends it unless a field says
// otherwise.
type request struct {
	method, path, host, remote, local, body string
	header                                  map[string]string
}

// send sends the request with the token of the console, which header can replace; "-" removes a header.
func (q request) send(t *testing.T, h http.Handler) (int, string) {
	t.Helper()
	var state struct{ Token string }
	own := func(r *http.Request) *http.Request {
		r.Host, r.RemoteAddr = "127.0.0.1:3300", "127.0.0.1:50000"
		return r
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, own(httptest.NewRequest(http.MethodGet, "/-/control", nil)))
	if err := json.Unmarshal(w.Body.Bytes(), &state); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if q.local != "" {
		addr, err := net.ResolveTCPAddr("tcp", q.local)
		if err != nil {
			t.Fatal(err)
		}
		ctx = context.WithValue(ctx, http.LocalAddrContextKey, net.Addr(addr))
	}
	r := own(httptest.NewRequestWithContext(ctx, q.method, q.path, strings.NewReader(q.body)))
	if q.host != "" {
		r.Host = q.host
	}
	if q.remote != "" {
		r.RemoteAddr = q.remote
	}
	for name, value := range map[string]string{"Origin": "http://127.0.0.1:3300", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Content-Type": "application/json", tokenHeader: state.Token} {
		r.Header.Set(name, value)
	}
	for name, value := range q.header {
		if r.Header.Set(name, value); value == "-" {
			r.Header.Del(name)
		}
	}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	b, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(b)
}

// Only the console's own pages on this machine set faults and run load tests.
func TestControl(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, action := range []struct {
		method, path, body string
		admitted           int // the lab is down
	}{
		{"PUT", "/-/faults", `{"service":"album-store","kind":"error","value":"500"}`, 404},
		{"POST", "/-/load", `{"rate":["5"]}`, 409},
		{"DELETE", "/-/load", `{}`, 409},
	} {
		for name, tt := range map[string]struct {
			c    Config
			q    request
			want int
		}{
			"own page":                {want: action.admitted},
			"localhost":               {q: request{host: "localhost:3300", header: map[string]string{"Origin": "http://localhost:3300"}}, want: action.admitted},
			"IPv6":                    {q: request{host: "[::1]:3300", remote: "[::1]:50000", local: "[::1]:3300", header: map[string]string{"Origin": "http://[::1]:3300"}}, want: action.admitted},
			"an older browser":        {q: request{header: map[string]string{"Sec-Fetch-Site": "-", "Sec-Fetch-Mode": "-"}}, want: action.admitted},
			"no token":                {q: request{header: map[string]string{tokenHeader: "-"}}, want: 403},
			"another token":           {q: request{header: map[string]string{tokenHeader: "AAAAAAAAAAAAAAAAAAAAAAAAAA"}}, want: 403},
			"cross-site":              {q: request{header: map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}}, want: 403},
			"cross-origin, no fetch":  {q: request{header: map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "-"}}, want: 403},
			"opaque origin":           {q: request{header: map[string]string{"Origin": "null", "Sec-Fetch-Site": "-"}}, want: 403},
			"another port":            {q: request{header: map[string]string{"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-site"}}, want: 403},
			"cross-site form":         {q: request{header: map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}}, want: 403},
			"DNS rebinding":           {q: request{host: "evil.example:3300", header: map[string]string{"Origin": "http://evil.example:3300"}}, want: 421},
			"another machine":         {q: request{remote: "192.0.2.1:50000"}, want: 403},
			"an address of a network": {q: request{host: "192.0.2.7:3300", header: map[string]string{"Origin": "http://192.0.2.7:3300"}}, want: 403},
			"a listener of a network": {q: request{local: "192.0.2.7:3300"}, want: 403},
			"not JSON":                {q: request{header: map[string]string{"Content-Type": "text/plain"}}, want: 415},
			"unknown field":           {q: request{body: `{"unknown":1}`}, want: 400},
			"two objects":             {q: request{body: action.body + action.body}, want: 400},
			"Compose":                 {c: Config{Containers: []Container{{"album-store", "http://x"}}}, want: 403},
			"Kubernetes":              {c: Config{Containers: []Container{{"album-store", "http://x"}}, Kubernetes: true}, want: 403},
			"-addr of a network":      {c: Config{NoControl: "it listens on 0.0.0.0"}, want: 403},
			"-allow-control":          {c: Config{AllowControl: true}, q: request{host: "192.0.2.7:3300", remote: "192.0.2.1:50000", header: map[string]string{"Origin": "http://192.0.2.7:3300"}}, want: action.admitted},
			"allowed, no token":       {c: Config{AllowControl: true}, q: request{header: map[string]string{tokenHeader: "-"}}, want: 403},
		} {
			q := tt.q
			q.method, q.path = action.method, action.path
			if q.body == "" {
				q.body = action.body
			}
			tt.c.State, tt.c.Load = dir, load.New(dir)
			want := tt.want
			if name == "unknown field" && action.method == "POST" { // its fields are flags
				q.body = `{"rate":1}`
			}
			if code, body := q.send(t, console(t, tt.c)); code != want {
				t.Errorf("%s %s, %s = %d %s, want %d", action.method, action.path, name, code, body, want)
			}
		}
	}
}

// A load test can have a file, which is larger than other requests.
func TestLargeLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := console(t, Config{State: dir, Load: load.New(dir)})
	for size, want := range map[int]int{2 * maxControl: 409, maxLoad: 400} { // the lab is down
		body := `{"flow":["` + strings.Repeat("#", size) + `"]}`
		if code, text := (request{method: "POST", path: "/-/load", body: body}).send(t, h); code != want {
			t.Errorf("%d bytes: %d %s, want %d", size, code, text, want)
		}
	}
	if code, _ := (request{method: "PUT", path: "/-/faults", body: `{"value":"` + strings.Repeat("#", maxControl) + `"}`}).send(t, h); code != 400 {
		t.Errorf("a large fault: %d", code)
	}
}

// A page elsewhere cannot read the token, and a console that admits nothing has none.
func TestToken(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		c      Config
		header map[string]string
		host   string
		want   int
		token  bool
	}{
		"own page":     {want: 200, token: true},
		"cross-site":   {header: map[string]string{"Sec-Fetch-Site": "cross-site"}, want: 403},
		"same-site":    {header: map[string]string{"Sec-Fetch-Site": "same-site"}, want: 403},
		"rebinding":    {host: "evil.example", want: 421},
		"a network":    {host: "192.0.2.7:3300", want: 200},
		"refused":      {c: Config{NoControl: "reason"}, want: 200},
		"in a cluster": {c: Config{Containers: []Container{{"a", "http://x"}}, Kubernetes: true}, want: 200},
	} {
		r := httptest.NewRequest(http.MethodGet, "/-/control", nil)
		r.Host, r.RemoteAddr = "127.0.0.1:3300", "127.0.0.1:50000"
		if tt.host != "" {
			r.Host = tt.host
		}
		for k, v := range tt.header {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		console(t, tt.c).ServeHTTP(w, r)
		if has := strings.Contains(w.Body.String(), `"token"`); w.Code != tt.want || has != tt.token || w.Header().Get("Access-Control-Allow-Origin") != "" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s %v, want %d, token %v", name, w.Code, w.Body, w.Header(), tt.want, tt.token)
		}
	}
}

// differs matches the addresses and folders of labs.
var differs = regexp.MustCompile(`http://[^"]*|"folder":"[^"]*"`)

// adminsOf serves the fault APIs of a store and a proxy where a lab with the returned port offset has them.
func adminsOf(t *testing.T, store, proxy http.Handler) (offset int) {
	t.Helper()
	for offset = 20000; ; offset += 13 {
		a, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 9081+offset))
		if err != nil {
			continue
		}
		b, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 9071+offset))
		if err != nil {
			a.Close()
			continue
		}
		for l, h := range map[net.Listener]http.Handler{a: store, b: proxy} {
			srv := &http.Server{Handler: h}
			go srv.Serve(l)
			t.Cleanup(func() { srv.Close() })
		}
		return offset
	}
}

// A page sets one fault and leaves the others; the service's own error comes back; and an exercise stays a secret.
func TestSetFault(t *testing.T) {
	t.Parallel()
	store, proxy := fault.New(1, "db-delay", "error"), fault.New(1, "latency")
	lab := func(store, proxy *fault.Set, exercise string) http.Handler {
		offset := adminsOf(t, store.Admin(), proxy.Admin())
		return console(t, Config{State: labOf(t, fmt.Sprintf(`{"phase":"up","exercise":%q,"port_offset":%d,"programs":[{"name":"album-store","process":{"pid":1}},{"name":"proxy-service","process":{"pid":1}}]}`, exercise, offset))})
	}
	h := lab(store, proxy, "")
	set := func(service, kind, value string) (int, string) {
		b, _ := json.Marshal(faultChange{service, kind, value})
		return request{method: "PUT", path: "/-/faults", body: string(b)}.send(t, h)
	}
	for _, tt := range []struct {
		service, kind, value string
		code                 int
		text, store          string
	}{
		{"album-store", "db-delay", "40ms@2%", 200, `"faults":["db-delay=40ms@2%"]`, "db-delay=40ms@2%"},
		{"album-store", "error", "500@1%", 200, "error=500@1%", "db-delay=40ms@2% error=500@1%"},
		{"album-store", "db-delay", "1ms", 200, "db-delay=1ms", "db-delay=1ms error=500@1%"},
		{"album-store", "db-delay", "fast", 400, "must be db-delay=TIME@SHARE, TIME from 1us to 1h", "db-delay=1ms error=500@1%"},
		{"album-store", "db-delay", "1ms,error=503", 400, "a value has no comma", "db-delay=1ms error=500@1%"},
		{"album-store", "stall", "1s", 400, "this service supports db-delay, error", "db-delay=1ms error=500@1%"},
		{"album-store", "a=b", "1s", 400, "is not the name of a fault", "db-delay=1ms error=500@1%"},
		{"elsewhere", "error", "500", 404, "the lab runs no service", "db-delay=1ms error=500@1%"},
		{"album-store", "db-delay", "", 200, "error=500@1%", "error=500@1%"},
		{"proxy-service", "latency", "5ms", 200, "latency=5ms", "error=500@1%"},
	} {
		code, body := set(tt.service, tt.kind, tt.value)
		if got := strings.Join(store.List(), " "); code != tt.code || !strings.Contains(body, tt.text) || got != tt.store {
			t.Errorf("%s %s=%s: %d %s, active %s, want %d, %s, %s", tt.service, tt.kind, tt.value, code, body, got, tt.code, tt.text, tt.store)
		}
	}

	hidden := func(specs ...string) *fault.Set {
		s := fault.New(1, "db-delay", "error", "latency")
		s.Hide()
		if err := s.Replace(t.Context(), specs...); err != nil {
			t.Fatal(err)
		}
		return s
	}
	with, without := lab(hidden("error=500@50%"), hidden(), "x"), lab(hidden(), hidden("latency=5ms"), "x")
	for _, path := range []string{"/-/faults", "/-/faults/settings"} {
		_, a := do(t, with, http.MethodGet, path, "")
		_, b := do(t, without, http.MethodGet, path, "")
		if cut := func(s string) string { return differs.ReplaceAllString(s, "") }; cut(a) != cut(b) || strings.Contains(a, "500") || path == "/-/faults/settings" && !strings.Contains(a, `"hidden":true`) {
			t.Errorf("%s shows the exercise:\n%s\n%s", path, a, b)
		}
	}
	if code, body := (request{method: "PUT", path: "/-/faults", body: `{"service":"album-store","kind":"error","value":"500"}`}).send(t, with); code != 409 || !strings.Contains(body, "an exercise controls the faults") {
		t.Errorf("PUT in an exercise = %d %s", code, body)
	}
}
