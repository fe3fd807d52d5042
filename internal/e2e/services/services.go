// Package services runs an album store and a proxy as their users do, as programs of
// their own that can be killed, for what must be seen from outside.
package services

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"soundcheck/internal/cli/clitest"
)

// Programs are the built services, and an endpoint for their telemetry that throws
// it away: to make it costs them what it costs.
type Programs struct {
	dir  string
	otlp *httptest.Server

	mu      sync.Mutex
	release []func() // give the ports back
}

// Build builds the services from the sources of this module.
func Build(ctx context.Context, stderr io.Writer) (_ *Programs, err error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	dir, err := os.MkdirTemp("", "services")
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir+"/", "./store", "./proxy")
	cmd.Dir = filepath.Dir(strings.TrimSpace(string(root)))
	cmd.Stdout, cmd.Stderr = stderr, stderr
	if err := cmd.Run(); err != nil {
		return nil, errors.Join(fmt.Errorf("build the services: %w", err), os.RemoveAll(dir))
	}
	discard := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	return &Programs{dir: dir, otlp: discard}, nil
}

// Close deletes the programs and gives their ports back.
func (p *Programs) Close() error {
	p.otlp.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, release := range p.release {
		release()
	}
	return os.RemoveAll(p.dir)
}

// Env is the environment of a program whose telemetry goes to the endpoint.
func (p *Programs) Env() []string {
	return append(os.Environ(), "OTEL_SDK_DISABLED=", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT="+p.otlp.URL)
}

// Store is an album store that runs, or was killed.
type Store struct {
	URL   string
	p     *Programs
	admin string
	args  []string

	program *program
}

// Proxy is a proxy that runs.
type Proxy struct {
	URL     string
	program *program
}

// StartStore starts an album store, with a free port and its faults to be changed.
func (p *Programs) StartStore(ctx context.Context, args ...string) (*Store, error) {
	addrs, err := p.reserve(2)
	if err != nil {
		return nil, err
	}
	s := &Store{p: p, URL: "http://" + addrs[0], admin: "http://" + addrs[1] + "/admin/faults",
		args: append([]string{"-addr", addrs[0], "-admin-addr", addrs[1]}, args...)}
	return s, s.Start(ctx)
}

// StartProxy starts a proxy of the stores.
func (p *Programs) StartProxy(ctx context.Context, stores []*Store, args ...string) (*Proxy, error) {
	addrs, err := p.reserve(1)
	if err != nil {
		return nil, err
	}
	urls := make([]string, len(stores))
	for i, s := range stores {
		urls[i] = s.URL
	}
	x := &Proxy{URL: "http://" + addrs[0]}
	x.program, err = p.run(ctx, "proxy", x.URL, append([]string{"-addr", addrs[0], "-store", strings.Join(urls, ",")}, args...)...)
	return x, err
}

// reserve returns addresses that no other socket gets while a store is down.
func (p *Programs) reserve(n int) (addrs []string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range n {
		addr, release, err := clitest.Reserve()
		if err != nil {
			return nil, err
		}
		addrs, p.release = append(addrs, addr), append(p.release, release)
	}
	return addrs, nil
}

const startTimeout = 5 * time.Minute

func (p *Programs) run(ctx context.Context, name, url string, args ...string) (*program, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(p.dir, name), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Env = p.Env()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	x := &program{cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(x.ended)
		_ = cmd.Wait()
	}()
	for deadline := time.After(startTimeout); ; {
		resp, err := http.Get(url + "/healthz")
		if err == nil {
			resp.Body.Close()
			return x, nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
			continue
		case <-x.ended:
		case <-deadline:
		}
		x.end()
		return nil, fmt.Errorf("%s does not respond: %w\n%s", name, err, stderr.String())
	}
}

// program is one that runs, or has ended.
type program struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// Start starts a store again that was killed, at the same address.
func (s *Store) Start(ctx context.Context) (err error) {
	s.program, err = s.p.run(ctx, "store", s.URL, s.args...)
	return err
}

// Kill ends the store at once.
func (s *Store) Kill() { s.program.end() }

// Kill ends the proxy at once.
func (p *Proxy) Kill() { p.program.end() }

func (p *program) end() {
	if p != nil {
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// SetFaults replaces the store's faults.
func (s *Store) SetFaults(ctx context.Context, faults ...string) error {
	return SetFaults(ctx, s.admin, faults...)
}

// SetFaults replaces the faults of the service whose faults are at a URL.
func SetFaults(ctx context.Context, admin string, faults ...string) error {
	body, err := json.Marshal(map[string][]string{"faults": append([]string{}, faults...)})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, admin, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("set faults: %s", resp.Status)
	}
	return nil
}

// State is how large a program is.
type State struct {
	Goroutines int64
	Memory     int64 // resident bytes; 0 where that is not known
}

// State returns how large the proxy is.
func (p *Proxy) State() (State, error) {
	resp, err := http.Get(p.URL + "/metrics")
	if err != nil {
		return State{}, err
	}
	defer resp.Body.Close()
	var st State
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if !strings.HasPrefix(name, "go_goroutine_count") {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return st, err
		}
		st.Goroutines = int64(n)
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.program.cmd.Process.Pid))
	if err != nil {
		return st, nil // not Linux
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	st.Memory = pages * int64(os.Getpagesize())
	return st, err
}
