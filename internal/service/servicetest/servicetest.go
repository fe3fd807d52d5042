// Package servicetest starts the services as their main functions do.
package servicetest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/internal/cli/clitest"
)

// Program is a running service.
type Program struct {
	URL    string
	Result <-chan error // what run returns, once it does
	out    *clitest.Output
}

// Start runs a service until ctx ends. It has time to shut down on a busy machine.
func Start(t *testing.T, ctx context.Context, run cli.Run, args ...string) *Program {
	t.Helper()
	result := make(chan error, 1)
	p := &Program{Result: result, out: new(clitest.Output)}
	args = append([]string{"-drain-timeout", "10m", "-flush-timeout", "10m"}, args...)
	go func() { result <- run(ctx, args, func(string) string { return "" }, p.out, os.Stderr) }()
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if list := p.out.Addresses(); len(list) > 0 {
			p.URL = "http://" + list[0]
			return p
		}
		if len(result) > 0 {
			t.Fatal(<-result)
		}
	}
	t.Fatal("the service does not listen")
	return nil
}

// Logs returns what the service has written to stdout.
func (p *Program) Logs() string { return p.out.String() }

// Receiver is an OTLP/HTTP endpoint that counts requests.
type Receiver struct {
	mu    sync.Mutex
	count map[string]int
}

// NewReceiver starts a Receiver and points the process' telemetry at it.
func NewReceiver(t *testing.T) *Receiver {
	r := &Receiver{count: map[string]int{}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		io.Copy(io.Discard, req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.count[req.URL.Path]++
	}))
	t.Cleanup(srv.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_SDK_DISABLED", "")
	return r
}

// Count returns how many requests came to a path, such as /v1/traces.
func (r *Receiver) Count(path string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count[path]
}

// Documented checks that docs/services.md has every flag that -h prints.
func Documented(t *testing.T, run cli.Run) {
	t.Helper()
	var help bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, func(string) string { return "" }, &help, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("-h: %v", err)
	}
	docs, err := os.ReadFile("../docs/services.md")
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`(?m)^  -([a-z0-9-]+)`).FindAllStringSubmatch(help.String(), -1)
	if len(flags) < 20 {
		t.Errorf("-h prints %d flags, want at least 20", len(flags))
	}
	for _, m := range flags {
		if !bytes.Contains(docs, []byte("\n| `-"+m[1]+"` |")) {
			t.Errorf("docs/services.md does not list -%s", m[1])
		}
	}
}
