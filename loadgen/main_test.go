package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/cli"
	"soundcheck/internal/cli/clitest"
	"soundcheck/internal/telemetry/telemetrytest"
	"soundcheck/loadgen/kubernetes/kubetest"
)

// sink receives the telemetry of these tests.
var sink telemetrytest.Sink

// asLoadgen makes this binary loadgen.
const asLoadgen = "SOUNDCHECK_TEST_LOADGEN"

func TestMain(m *testing.M) {
	if os.Getenv(asLoadgen) != "" {
		main()
	}
	os.Exit(kubetest.Main(func() int { return sink.Main(m) }))
}

// target is an album service with loadgen's probe. It stores the trace context of each
// request.
type target struct {
	*httptest.Server

	mu      sync.Mutex
	parents []string // traceparent headers
}

// newTarget returns a target. Wrap, if not nil, wraps its handler.
func newTarget(t *testing.T, wrap func(http.Handler) http.Handler) *target {
	t.Helper()
	h := albumhttp.Handler(album.NewMemory(album.Seed()...), albumhttp.HandlerOptions{Service: "album-store"})
	if wrap != nil {
		h = wrap(h)
	}
	tg := new(target)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		tg.mu.Lock()
		tg.parents = append(tg.parents, r.Header.Get("traceparent"))
		tg.mu.Unlock()
		h.ServeHTTP(w, r)
	})
	tg.Server = httptest.NewServer(mux)
	t.Cleanup(tg.Close)
	return tg
}

func loadgen(ctx context.Context, args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	// A lab on this machine does not have the traces of these tests.
	err := run(ctx, args, func(name string) string {
		return map[string]string{"SOUNDCHECK_LOADGEN_EXPLAIN": "false", "SOUNDCHECK_LOADGEN_QUIET": "true"}[name]
	}, &out, &errs)
	code = cli.Code("loadgen", &errs, err)
	return out.String(), errs.String(), code
}

var parent = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-01$`)

// wantDone fails unless the run succeeded. A report with CPU saturation as its reason for
// INVALID is accepted: other tests run on the same machine.
func wantDone(t *testing.T, stdout, stderr string, code int) {
	t.Helper()
	switch {
	case code == 0 && stderr == "" && !strings.Contains(stdout, "INVALID"):
	case code == 4 && strings.HasPrefix(stderr, "loadgen: report invalid: p99 send delay ") && strings.HasPrefix(stdout, "INVALID       "):
	default:
		t.Errorf("exit code %d, stderr %q, report\n%s", code, stderr, stdout)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, nil)
	stdout, stderr, code := loadgen(t.Context(), "-rate", "200", "-duration", "1s", "-url", tg.URL+"/")
	wantDone(t, stdout, stderr, code)
	for _, want := range []string{
		`(^|\n)target        ` + regexp.QuoteMeta(tg.URL) + `\n`,
		`\nplan          1s@200, constant arrivals\n`,
		`\nrequests      200 of 200 planned, in \d+\.\d s\n`,
		`\nrate          200/s target, \d+\.\d/s actual, \d+\.\d/s goodput\n`,
		`\ngood          200 \(100\.00%\)\nfailed        0 \(0\.00%\)\n`,
		`\n +create +20( +\d+\.\d\d ms){5}\n`,
		`\n +get +140( +\d+\.\d\d ms){5}\n`,
		`\n +list +40( +\d+\.\d\d ms){5}\n`,
		`\n +all served +200( +\d+\.\d\d ms){5}\n`,
		`\n +service time +200( +\d+\.\d\d ms){5}\n`,
		`\n +send delay +200( +\d+\.\d\d ms){5}\n`,
		`\nstatus codes\n  create    201: 20\n  get       200: 140\n  list      200: 40\n`,
		`\nslowest requests\n( +\d+\.\d\d ms  (create|get|list) +20[01] +trace [0-9a-f]{32}\n){5}$`,
	} {
		if !regexp.MustCompile(want).MatchString(stdout) {
			t.Errorf("report\n%s\ndoes not match %s", stdout, want)
		}
	}

	// Each request has its own trace with an exported client span.
	traces, names := map[string]bool{}, map[string]int{}
	for _, p := range tg.parents {
		m := parent.FindStringSubmatch(p)
		if m == nil {
			t.Fatalf("traceparent %q, want %s", p, parent)
		}
		traces[m[1]] = true
		spans := sink.Trace(m[1])
		if len(spans) != 1 {
			t.Fatalf("trace %s has %d exported spans, want 1", m[1], len(spans))
		}
		s := spans[0]
		if s.Service != "loadgen" || s.Kind != otlp.Span_SPAN_KIND_CLIENT || len(s.ParentSpanId) != 0 || fmt.Sprintf("%x", s.SpanId) != m[2] {
			t.Fatalf("exported span %s %v, want the client span %s of loadgen", s.Service, s.Span, m[2])
		}
		names[s.Name]++
	}
	if len(tg.parents) != 200 || len(traces) != 200 {
		t.Errorf("%d requests in %d traces, want 200 in as many", len(tg.parents), len(traces))
	}
	if names["GET /albums"] != 40 || names["GET /albums/:id"] != 140 || names["POST /albums"] != 20 {
		t.Errorf("spans %v, want 40 GET /albums, 140 GET /albums/:id, 20 POST /albums", names)
	}
	for _, m := range regexp.MustCompile(`trace ([0-9a-f]{32})`).FindAllStringSubmatch(stdout, -1) {
		if !traces[m[1]] {
			t.Errorf("the report has trace %s, unknown to the target", m[1])
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-rate", "0"}, "-rate 0 (closed model) needs -workers"},
		{[]string{"-rate", "0", "-workers", "65537"}, "-workers 65537 is out of range: 1 to 65536"},
		{[]string{"-workers", "4"}, "-workers (closed model) needs -rate 0, without -stages or -replay"},
		{[]string{"-rate", "100001"}, "-rate 100001 is out of range: 0.01 to 100000 for one process (more with -shard), or 0"},
		{[]string{"-rate", "200001", "-shard", "1/2"}, "-rate 200001 is out of range: 0.01 to 200000 for 2 processes"},
		{[]string{"-stages", "1s@1,1s@0..100001"}, "-stages: the rate 100001 is out of range: 0 to 100000 for one process (more with -shard)"},
		{[]string{"-stages", "1s@1,1s@200001..0", "-shard", "2/2"}, "-stages: the rate 200001 is out of range: 0 to 200000 for 2 processes"},
		{[]string{"-rate", "NaN"}, "-rate NaN is out of range: 0.01 to 100000 for one process (more with -shard), or 0"},
		{[]string{"-rate", "fast"}, `invalid value "fast" for flag -rate: "fast" is not a rate, as in 100 (req/s) or 30/1m`},
		{[]string{"-stages", "1s@1", "-rate", "1"}, "-stages and -rate or -duration do not go together"},
		{[]string{"-stages", "1s"}, `-stages: "1s" is not duration@rate or duration@rate..rate, as in 30s@200`},
		{[]string{"-arrivals", "late"}, `-arrivals "late" is not constant or poisson`},
		{[]string{"-slo", "p99"}, `invalid value "p99" for flag -slo: "p99" is not an SLO, as in p99<250ms, p99(get)<50ms or good>99.9%`},
		{[]string{"-jaeger", "localhost"}, `-jaeger: "localhost" is not an http:// or https:// URL with a host`},
		{[]string{"-targets", "x", "-url", "http://a"}, "-targets and -mix or -url do not go together"},
		{[]string{"-targets", os.DevNull}, "-targets: " + os.DevNull + ": no targets"},
		{[]string{"-format", "xml"}, `-format "xml" is not text, json, markdown, html, junit or github`},
		{[]string{"-duration", "99ms"}, "-duration 99ms is out of range: 100ms to 24h"},
		{[]string{"-duration", "25h"}, "-duration 25h0m0s is out of range: 100ms to 24h"},
		{[]string{"-duration", "30"}, `-duration: "30" is not a duration such as 30s or 5m`},
		{[]string{"-rate", "1", "-duration", "900ms"}, "the plan has no request"},
		{[]string{"-timeout", "0s"}, "-timeout 0s is out of range: 1ms to 10m"},
		{[]string{"-timeout", "11m"}, "-timeout 11m0s is out of range: 1ms to 10m"},
		{[]string{"-max-workers", "0"}, "-max-workers 0 is out of range: 1 to 65536"},
		{[]string{"-max-workers", "65537"}, "-max-workers 65537 is out of range: 1 to 65536"},
		{[]string{"-seed", "-1"}, `-seed: "-1" is not a whole number, 0 or more`},
		{[]string{"-mix", "get=1,fetch=1"}, `-mix: "fetch=1" is not scenario=weight; scenarios: bad, batch, create, delete, get, list, miss, page, stream, update`},
		{[]string{"-mix", "get=0"}, "-mix: all weights are 0"},
		{[]string{"-url", "127.0.0.1"}, `-url: "127.0.0.1" is not an http:// or https:// URL with a host`},
		{[]string{"-url", "http://me:secret@127.0.0.1"}, `-url: `},
		{[]string{"attack", "100"}, `unexpected argument "100"`},
		{[]string{"-warmup", "5s", "-n", "10"}, "-warmup 5s is not shorter than the plan"},
		{[]string{"-slo", "p99(batch)<1s"}, "-slo p99(batch)<1s: scenario batch is not in the workload, which has create, get, list"},
		{[]string{"-explain=false", "-jaeger", "http://a"}, "-jaeger and -explain=false do not go together"},
		{[]string{"-retry", "always"}, `-retry "always" is not none, honour or naive`},
		{[]string{"-trace-sample", "1.1"}, "-trace-sample 1.1 is out of range: 0 to 1"},
		{[]string{"-trace-sample", "NaN"}, "-trace-sample NaN is out of range: 0 to 1"},
		{[]string{"-abort-on-slo"}, "-abort-on-slo needs -slo"},
		{[]string{"-warmup", "-1s"}, "-warmup -1s is below 0"},
		{[]string{"-warmup", "30s"}, "-warmup 30s is not shorter than the plan"},
		{[]string{"-rate", "0", "-workers", "1", "-arrivals", "poisson"}, "-arrivals and the closed model do not go together"},
		{[]string{"-rate", "0", "-workers", "1", "-max-workers", "3"}, "-max-workers and the closed model do not go together"},
		{[]string{"-shard", "3/2"}, `-shard "3/2" is not i/n, as in 2/4 (n up to 1000)`},
		{[]string{"-shard", "2"}, `-shard "2" is not i/n, as in 2/4 (n up to 1000)`},
		{[]string{"-start-at", "soon"}, `-start-at "soon" is not an RFC 3339 time, as in 2`},
		{[]string{"-start-at", "2020-01-01T00:00:00Z"}, "-start-at 2020-01-01T00:00:00Z is not within the next 24h"},
		{[]string{"-replay", "main.go"}, "-replay main.go: not a recording"},
		{[]string{"-replay", "x", "-rate", "3"}, "-rate and -replay do not go together"},
		{[]string{"-nosuch", "1"}, "flag provided but not defined: -nosuch"},
	} {
		stdout, stderr, code := loadgen(t.Context(), tt.args...)
		if code != 2 || stdout != "" || !strings.HasPrefix(stderr, "loadgen: "+tt.want) || !strings.HasSuffix(stderr, "\nrun \"loadgen -h\" for help\n") {
			t.Errorf("loadgen %q: exit code %d, stdout %q, stderr %q, want 2, none, %q and the usage", tt.args, code, stdout, stderr, tt.want)
		}
	}
}

// Unknown commands and misplaced flags are usage errors.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"comapre", "a", "b"}, "unknown command \"comapre\"\n\ncommands: attack (default), capacity, k8s, coordinate, ab, compare, merge, report; see loadgen COMMAND -h\n"},
		{[]string{"compare", "a", "b", "-format", "json"}, "-format: flags come before directories\n"},
		{[]string{"report", "a", "-format", "json"}, "-format: flags come before directories\n"},
		{[]string{"merge", "a", "-out", "b"}, "-out: flags come before directories\n"},
		{[]string{"ab", "-a", "http://a", "-b", "http://b", "-slo", "good>99%"}, "-slo good>99%: ab accepts only latency SLOs, as in p99<250ms\n"},
	} {
		if stdout, stderr, code := loadgen(t.Context(), tt.args...); code != 2 || stdout != "" || !strings.HasPrefix(stderr, "loadgen: "+tt.want) {
			t.Errorf("loadgen %q: exit code %d, %q, want 2, %q", tt.args, code, stderr, tt.want)
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	addr := clitest.ClosedAddr(t)
	stdout, stderr, code := loadgen(t.Context(), "-url", "http://"+addr)
	if code != 1 || stdout != "" {
		t.Errorf("exit code %d, stdout %q, want 1 and none", code, stdout)
	}
	if want := fmt.Sprintf("loadgen: reach the target: Get \"http://%s/healthz\": dial tcp %s: connect: connection refused\n"+
		"start the lab with make lab-up, or set -url\n", addr, addr); stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
	}
	for flags, want := range map[string]string{
		"-local-addr 192.0.2.1":        "set -local-addr to an address of this machine, of the IP version of the target\n",
		"-local-addr ::1":              "set -local-addr to an address of this machine, of the IP version of the target\n",
		"-local-addr 127.0.0.1":        "start the lab with make lab-up, or set -url\n",
		"-unix-socket /no/such/socket": "set -unix-socket to the socket of a server that is up\n",
	} {
		if _, stderr, code := loadgen(t.Context(), append(strings.Fields(flags), "-url", "http://"+addr)...); code != 1 || !strings.HasSuffix(stderr, "\n"+want) {
			t.Errorf("%s: exit code %d, stderr %q, want %s", flags, code, stderr, want)
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	broken := func(method string) func(http.Handler) http.Handler {
		return func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if method == "" || r.Method == method {
					http.Error(w, "broken", http.StatusInternalServerError)
					return
				}
				h.ServeHTTP(w, r)
			})
		}
	}
	for _, tt := range []struct {
		name, method string
		stderr       string
		stdout       []string
	}{
		{"some", http.MethodPost, "loadgen: 10 of 100 requests failed or shed\n", []string{
			"\nfailed        10 (10.00%)\n", "\n  create    500: 10\n", "\n  get       200: 70\n", "\nerrors\n  status 500 for create        10\n"}},
		{"all", "", "loadgen: all 100 requests failed or shed\n", []string{
			"\nfailed        100 (100.00%)\n", "\n  get       500: 70\n", "\nerrors\n  status 500 for get           70\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tg := newTarget(t, broken(tt.method))
			stdout, stderr, code := loadgen(t.Context(), "-rate", "500", "-duration", "200ms", "-url", tg.URL)
			if (code != 1 || stderr != tt.stderr) && code != 4 { // see wantDone
				t.Errorf("exit code %d, stderr %q, want 1, %q", code, stderr, tt.stderr)
			}
			for _, want := range tt.stdout {
				if !strings.Contains(stdout, want) {
					t.Errorf("report\n%s\nhas no %q", stdout, want)
				}
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var tg *target
	tg = newTarget(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tg.mu.Lock()
			n := len(tg.parents)
			tg.mu.Unlock()
			if n >= 20 {
				cancel()
			}
			h.ServeHTTP(w, r)
		})
	})
	stdout, stderr, code := loadgen(ctx, "-rate", "100", "-duration", "24h", "-url", tg.URL)
	if code != 1 || !strings.HasPrefix(stderr, "loadgen: interrupted after ") {
		t.Errorf("exit code %d, stderr %q, want 1 and that it was interrupted", code, stderr)
	}
	if !strings.Contains(stdout, " of 8640000 planned, in ") || !strings.Contains(stdout, "\nslowest requests\n") {
		t.Errorf("report\n%s\nwant the report so far", stdout)
	}
}

// Without a Collector the report is the same, and stderr has one line about lost telemetry. The
// test changes the environment, so that it is not parallel.
func TestNoCollector(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+clitest.ClosedAddr(t))
	tg := newTarget(t, nil)
	var stdout, stderr string
	var code int
	for range 5 { // a busy machine may need the time of the flush, but not each time
		stdout, stderr, code = loadgen(t.Context(), "-rate", "100", "-duration", "100ms", "-url", tg.URL)
		if !strings.Contains(stderr, "deadline exceeded") {
			break
		}
	}
	if code != 0 && code != 4 || !strings.Contains(stdout, "10 of 10 planned") { // see wantDone
		t.Errorf("exit code %d, stdout %q, want 0 and the report", code, stdout)
	}
	if strings.Contains(stderr, "deadline exceeded") || !strings.HasPrefix(stderr, "telemetry was not delivered: ") || !strings.Contains(stderr, "connection refused") || !strings.Contains(stderr, "make lab-up") {
		t.Errorf("stderr %q, want a line about the Collector", stderr)
	}
}
