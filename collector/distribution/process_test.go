package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// runAsCollector makes the test's program the Collector, so that a test can kill one.
const runAsCollector = "SOUNDCHECK_TEST_COLLECTOR"

func TestMain(m *testing.M) {
	if os.Getenv(runAsCollector) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// backends record what the Collector exports: traces in the place of Jaeger, metrics in
// the place of Prometheus. Log records are in a file.
type backends struct {
	jaeger     string // address
	prometheus *httptest.Server
	logs       string // file

	mu      sync.Mutex
	traces  []ptrace.Traces
	metrics []pmetric.Metrics
	// reject, if not nil, is Prometheus' answer to a request: 0 for success.
	reject func(pmetric.Metrics) (status int, reason string)
}

func newBackends(t *testing.T) *backends {
	t.Helper()
	b := &backends{logs: filepath.Join(t.TempDir(), "otlp.jsonl")}
	jaeger := httptest.NewServer(http.HandlerFunc(b.serveTraces))
	t.Cleanup(jaeger.Close)
	b.jaeger = jaeger.Listener.Addr().String()
	b.prometheus = httptest.NewServer(http.HandlerFunc(b.serveMetrics))
	t.Cleanup(b.prometheus.Close)
	return b
}

func (b *backends) serveTraces(w http.ResponseWriter, r *http.Request) {
	req := ptraceotlp.NewExportRequest()
	if !readRequest(w, r, req.UnmarshalProto) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.traces = append(b.traces, req.Traces())
}

// readRequest responds with 400 and returns false if the body is not valid.
func readRequest(w http.ResponseWriter, r *http.Request, unmarshal func([]byte) error) bool {
	var reader io.Reader = http.MaxBytesReader(w, r.Body, 16<<20) // as backends/jaeger/config.yaml
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(reader)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return false
		}
		reader = z
	}
	body, err := io.ReadAll(reader)
	if err == nil {
		err = unmarshal(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

func (b *backends) serveMetrics(w http.ResponseWriter, r *http.Request) {
	req := pmetricotlp.NewExportRequest()
	if !readRequest(w, r, req.UnmarshalProto) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reject != nil {
		if status, reason := b.reject(req.Metrics()); status != 0 {
			http.Error(w, reason, status)
			return
		}
	}
	b.metrics = append(b.metrics, req.Metrics())
}

// spans calls each for every span that has arrived.
func (b *backends) spans(each func(ptrace.ResourceSpans, ptrace.Span)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, td := range b.traces {
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					each(rs, span)
				}
			}
		}
	}
}

// points calls each for every metric of the service that has arrived.
func (b *backends) points(service string, each func(pmetric.ResourceMetrics, pmetric.Metric)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, md := range b.metrics {
		for _, rm := range md.ResourceMetrics().All() {
			if name, ok := rm.Resource().Attributes().Get("service.name"); !ok || name.AsString() != service {
				continue
			}
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					each(rm, m)
				}
			}
		}
	}
}

// process is a Collector with the lab's configuration.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	env  []string
	otlp string // URL
	out  *syncBuffer
}

// syncBuffer is read while a program writes to it.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var lastPort atomic.Int64

// freeAddress returns an address that no one takes by chance while the Collector is down: the ports of labs, at any
// -port-offset, begin at 3000, and those of outgoing connections are higher.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1900 {
		address := fmt.Sprintf("127.0.0.1:%d", 1100+(int64(os.Getpid())*31+lastPort.Add(1))%1900)
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// newProcess starts a Collector that exports to b.
func newProcess(t *testing.T, b *backends) *process {
	t.Helper()
	address, health := freeAddress(t), freeAddress(t)
	p := &process{t: t, otlp: "http://" + address, out: &syncBuffer{}, env: append(os.Environ(),
		runAsCollector+"=1",
		"COLLECTOR_OTLP_GRPC_ADDR="+freeAddress(t),
		"COLLECTOR_OTLP_HTTP_ADDR="+address,
		"COLLECTOR_HEALTH_ADDR="+health,
		"COLLECTOR_STATE_DIR="+t.TempDir(),
		"COLLECTOR_LOGS_FILE="+b.logs,
		"JAEGER_OTLP_ADDR="+b.jaeger,
		"PROMETHEUS_OTLP_URL="+b.prometheus.URL,
	)}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the Collector's output:\n%s", p.out)
		}
	})
	p.start()
	return p
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0], "--config", config)
	p.cmd.Env = p.env
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	until(p.t, "the Collector accepts OTLP", func() error {
		resp, err := http.Post(p.otlp+"/v1/traces", "application/json", strings.NewReader("{}"))
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
}

// kill ends the process without notice.
func (p *process) kill() { p.end(syscall.SIGKILL) }

// stop ends it in order.
func (p *process) stop() { p.end(syscall.SIGTERM) }

func (p *process) end(s syscall.Signal) {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Signal(s)
	p.cmd.Wait()
	p.cmd = nil
}

// post sends an OTLP request, and returns when the Collector has responded with 200.
func (p *process) post(signal, contentType string, body []byte) {
	p.t.Helper()
	resp, err := http.Post(p.otlp+"/v1/"+signal, contentType, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %s\n%s", signal, resp.Status, text)
	}
}

func (p *process) sendTraces(td ptrace.Traces) {
	p.t.Helper()
	body, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	if err != nil {
		p.t.Fatal(err)
	}
	p.post("traces", "application/x-protobuf", body)
}

func (p *process) sendMetrics(md pmetric.Metrics) {
	p.t.Helper()
	body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	if err != nil {
		p.t.Fatal(err)
	}
	p.post("metrics", "application/x-protobuf", body)
}

// until waits for check to return nil. Its limit is only for the case that it never does.
func until(t *testing.T, what string, check func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatal(fmt.Errorf("%s: %w", what, err))
}
