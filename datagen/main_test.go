package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/cli"
	"soundcheck/internal/cli/clitest"
	"soundcheck/internal/fakealbum"
	"soundcheck/internal/golden"
	"soundcheck/internal/telemetry/telemetrytest"
)

// sink receives what the program exports in these tests.
var sink telemetrytest.Sink

func TestMain(m *testing.M) { os.Exit(sink.Main(m)) }

// target is an album service that notes the trace context of every request.
type target struct {
	*httptest.Server
	store album.Service

	mu      sync.Mutex
	parents []string // traceparent headers
}

func newTarget(t *testing.T, store album.Service) *target {
	t.Helper()
	tg := &target{store: store}
	h := albumhttp.Handler(store, albumhttp.HandlerOptions{Service: "album-store"})
	tg.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tg.mu.Lock()
		tg.parents = append(tg.parents, r.Method+" "+r.URL.Path+" "+r.Header.Get("traceparent"))
		tg.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(tg.Close)
	return tg
}

func (tg *target) requests() int {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	return len(tg.parents)
}

// created returns the albums that were created, without their ids, in order of content.
func (tg *target) created(t *testing.T) []album.Album {
	t.Helper()
	var all []album.Album
	for q := (album.Query{Limit: album.MaxLimit}); ; {
		p, err := tg.store.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range p.Albums {
			a.ID, a.CreatedAt = 0, time.Time{}
			all = append(all, a)
		}
		if q.After = p.Next; p.Next == 0 {
			slices.SortFunc(all, compare)
			return all
		}
	}
}

func compare(a, b album.Album) int {
	return slices.Compare([]string{a.Title, a.Artist, a.Price.String()}, []string{b.Title, b.Artist, b.Price.String()})
}

func datagen(ctx context.Context, args ...string) (stdout, stderr string, code int) {
	return datagenFrom(ctx, "", args...)
}

// progressLines are what a run of over five seconds writes to stderr: on a busy machine any may.
var progressLines = regexp.MustCompile(`(?m)^(\d+ of \d+ albums, |\d+ albums, |verifying: |checking ).*\n`)

func datagenFrom(ctx context.Context, stdin string, args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	err := run(ctx, args, func(string) string { return "" }, strings.NewReader(stdin), &out, &errs)
	code = cli.Code("datagen", &errs, err)
	return out.String(), progressLines.ReplaceAllString(errs.String(), ""), code
}

var parent = regexp.MustCompile(`^POST /albums 00-([0-9a-f]{32})-([0-9a-f]{16})-01$`)

func TestRun(t *testing.T) {
	t.Parallel()
	const n = 200
	tg := newTarget(t, album.NewMemory())
	stdout, stderr, code := datagen(t.Context(), "-n", fmt.Sprint(n), "-seed", "5", "-concurrency", "8", "-url", tg.URL)
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and none", code, stderr)
	}
	if want := regexp.MustCompile(`^created        200 of 200 albums in \d+\.\d s, \d+/s\nfailed         0\n$`); !want.MatchString(stdout) {
		t.Errorf("stdout %q, want %s", stdout, want)
	}
	var want []album.Album
	for i := range uint64(n) {
		want = append(want, fakealbum.New(5, i))
	}
	slices.SortFunc(want, compare)
	if !slices.Equal(tg.created(t), want) {
		t.Error("the store's albums are not those of the seed")
	}

	// Each request continued a trace of its own, whose client span was exported.
	traces := map[string]bool{}
	for _, p := range tg.parents {
		m := parent.FindStringSubmatch(p)
		if m == nil {
			t.Fatalf("request %q, want %s", p, parent)
		}
		traces[m[1]] = true
		spans := sink.Trace(m[1])
		if len(spans) != 1 {
			t.Fatalf("trace %s has %d exported spans, want 1", m[1], len(spans))
		}
		s := spans[0]
		if s.Service != "datagen" || s.Name != "POST /albums" || s.Kind != otlp.Span_SPAN_KIND_CLIENT ||
			len(s.ParentSpanId) != 0 || fmt.Sprintf("%x", s.SpanId) != m[2] {
			t.Fatalf("exported span %s %v, want the client span %s of datagen", s.Service, s.Span, m[2])
		}
	}
	if len(tg.parents) != n || len(traces) != n {
		t.Errorf("%d requests in %d traces, want %d in as many", len(tg.parents), len(traces), n)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, album.NewMemory())
	env := map[string]string{"SOUNDCHECK_DATAGEN_N": "7", "SOUNDCHECK_DATAGEN_URL": tg.URL, "SOUNDCHECK_DATAGEN_CONCURRENCY": "0"}
	var out bytes.Buffer
	err := run(t.Context(), []string{"-concurrency", "2"}, func(name string) string { return env[name] }, nil, &out, &out)
	if err != nil || len(tg.created(t)) != 7 {
		t.Errorf("run = %v with %d albums, want 7: %s", err, len(tg.created(t)), &out)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := datagen(t.Context(), "-h")
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q, want 0 and none", code, stderr)
	}
	golden.Check(t, "testdata/help.txt", []byte(stdout))
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	addr := clitest.ClosedAddr(t)
	stdout, stderr, code := datagen(t.Context(), "-url", "http://"+addr, "-patience", "200ms")
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if want := "created        0 of 1000 albums in "; !strings.HasPrefix(stdout, want) {
		t.Errorf("stdout %q, want %q", stdout, want)
	}
	want := regexp.MustCompile(fmt.Sprintf(`^datagen: aborted after \S+ without an album created: album store unavailable: Post "http://%s/albums": dial tcp %s: connect: connection refused\n`+
		"start the lab with make lab-up, or name another service with -url\n$", regexp.QuoteMeta(addr), regexp.QuoteMeta(addr)))
	if !want.MatchString(stderr) {
		t.Errorf("stderr %q, want %s", stderr, want)
	}
}

// service changes what the store does with a create.
type service struct {
	album.Service
	create func(ctx context.Context, w album.Write) (album.Created, error)
}

func (s service) Create(ctx context.Context, w album.Write) (album.Created, error) {
	return s.create(ctx, w)
}

// Requests are retried while the store is down, until the run ends or its patience.
func TestStoreBehindProxyIsDown(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var calls atomic.Int64
	tg := newTarget(t, service{album.NewMemory(), func(context.Context, album.Write) (album.Created, error) {
		if calls.Add(1) == 5 { // each of the four concurrent requests has one album: this is a retry
			cancel()
		}
		return album.Created{}, album.ErrUnavailable
	}})
	stdout, stderr, code := datagen(ctx, "-concurrency", "4", "-url", tg.URL)
	if n := calls.Load(); code != 1 || n < 5 || !regexp.MustCompile(`\nretried        [1-9]\d*: requests, after a retryable error\n`).MatchString(stdout) || !strings.HasPrefix(stderr, "datagen: interrupted: 0 of 1000 albums are stored; ") {
		t.Errorf("exit code %d after %d requests, stdout %q, stderr %q, want 1 after a retry", code, n, stdout, stderr)
	}
	stdout, stderr, code = datagen(t.Context(), "-concurrency", "4", "-url", tg.URL, "-patience", "300ms")
	if code != 1 || !strings.Contains(stdout, " × album store unavailable: responded 502 Bad Gateway, first in trace ") ||
		!strings.HasPrefix(stderr, "datagen: aborted after ") || !strings.Contains(stderr, " without an album created: album store unavailable: responded 502 Bad Gateway") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// A URL with a path that the service does not have is shown: -url is the base.
func TestWrongPath(t *testing.T) {
	t.Parallel()
	tg := newTarget(t, album.NewMemory())
	want := "method not allowed: POST " + tg.URL + "/albums/albums"
	if stdout, stderr, code := datagen(t.Context(), "-n", "3", "-url", tg.URL+"/albums"); code != 1 || !strings.Contains(stdout, want) {
		t.Errorf("exit code %d, stdout %q, stderr %q, want %s", code, stdout, stderr, want)
	}
}

// A permanent rejection fails, with its trace ID in the summary. A retryable error is
// retried.
func TestSomeFail(t *testing.T) {
	t.Parallel()
	memory := album.NewMemory()
	var first sync.Map
	tg := newTarget(t, service{memory, func(ctx context.Context, w album.Write) (album.Created, error) {
		a := w.Albums[0]
		switch _, again := first.LoadOrStore(w.Key, true); {
		case w.Key == "":
			t.Error("a create without a key")
		case a == fakealbum.New(1, 7) || a == fakealbum.New(1, 8):
			return album.Created{}, album.ErrExists
		case !again && len(a.Title)%2 == 0:
			return album.Created{}, errors.New("disk full")
		}
		return memory.Create(ctx, w)
	}})
	stdout, stderr, code := datagen(t.Context(), "-n", "50", "-concurrency", "4", "-url", tg.URL)
	if want := "datagen: 2 albums failed\n"; code != 1 || stderr != want {
		t.Errorf("exit code %d, stderr %q, want 1, %q", code, stderr, want)
	}
	m := regexp.MustCompile(`^created        48 of 50 .*\nretried        \d+: requests, after a retryable error\nfailed         2\n  2 × an album with this id exists, first in trace ([0-9a-f]{32})\n$`).FindStringSubmatch(stdout)
	if m == nil {
		t.Fatalf("stdout %q", stdout)
	}
	if spans := sink.Trace(m[1]); len(spans) != 1 || spans[0].Status.GetCode() != otlp.Status_STATUS_CODE_ERROR {
		t.Errorf("spans of trace %s: %v, want one error", m[1], spans)
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	memory := album.NewMemory()
	var calls atomic.Int64
	tg := newTarget(t, service{memory, func(c context.Context, w album.Write) (album.Created, error) {
		if calls.Add(1) == 30 {
			cancel()
		}
		return memory.Create(c, w)
	}})
	stdout, stderr, code := datagen(ctx, "-n", "1000000", "-concurrency", "4", "-url", tg.URL)
	var said int
	if _, err := fmt.Sscanf(stdout, "created %d of 1000000 albums", &said); err != nil {
		t.Fatalf("stdout %q: %v", stdout, err)
	}
	// A call that was cut off, because the machine is slow, may have been one more, or none.
	if n := len(tg.created(t)); n < 30-4 || said > n || said < n-4 {
		t.Errorf("%d albums were created, stdout says %q", n, stdout)
	}
	m := regexp.MustCompile(`^datagen: interrupted: (\d+) of 1000000 albums are stored; resume with the same flags and -from (\d+) -n (\d+)\n$`).FindStringSubmatch(stderr)
	if m == nil || m[1] != fmt.Sprint(said) || code != 1 {
		t.Fatalf("exit code %d, stderr %q, want 1 and where to go on after %d", code, stderr, said)
	}
	from, _ := strconv.Atoi(m[2])
	left, _ := strconv.Atoi(m[3])
	if from > said || from+left != 1000000 {
		t.Errorf("-from %d -n %d, want the rest of 1000000 after at most %d", from, left, said)
	}
	// Resuming there creates every album once.
	stdout, stderr, code = datagen(t.Context(), "-from", m[2], "-n", fmt.Sprint(1000-from), "-url", tg.URL)
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
	if stdout, stderr, code = datagen(t.Context(), "-n", "1000", "-url", tg.URL, "-verify"); code != 0 || !strings.HasPrefix(stdout, "created        0 of 1000") {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
}

// Without a Collector the albums are created, and one line reports the telemetry that
// was not delivered. It changes the environment, so it is not parallel.
func TestNoCollector(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+clitest.ClosedAddr(t))
	tg := newTarget(t, album.NewMemory())
	var stderr string
	var code int
	for range 5 { // a busy machine may need the time of the flush, but not each time
		_, stderr, code = datagen(t.Context(), "-n", "20", "-url", tg.URL)
		if !strings.Contains(stderr, "deadline exceeded") {
			break
		}
	}
	if n := len(tg.created(t)); code != 0 || n != 20 {
		t.Errorf("exit code %d with %d albums, want 0 with 20", code, n)
	}
	if strings.Contains(stderr, "deadline exceeded") || !strings.HasPrefix(stderr, "telemetry was not delivered: ") || !strings.Contains(stderr, "connection refused") || !strings.Contains(stderr, "make lab-up") {
		t.Errorf("stderr %q, want a line about the Collector", stderr)
	}
}
