package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// programs are the built services, and an endpoint for their telemetry that throws
// it away: to make it costs them what it costs.
type programs struct {
	dir  string
	otlp *httptest.Server
}

func build(ctx context.Context, stderr io.Writer) (*programs, error) {
	dir, err := os.MkdirTemp("", "overload")
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir+"/", "./store", "./proxy")
	if cmd.Dir, err = root(); err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = stderr, stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build the services: %w", err)
	}
	discard := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	return &programs{dir, discard}, nil
}

// root is the folder of the module.
func root() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	return filepath.Dir(strings.TrimSpace(string(out))), err
}

// services are a store and a proxy that run.
type services struct {
	p                      *programs
	storeAddr, admin, addr string
	proxy                  string // its URL
	storeArgs              []string
	store, front           *exec.Cmd
}

func (p *programs) start(ctx context.Context, storeArgs, proxyArgs, faults []string) (*services, error) {
	s := &services{p: p}
	for _, addr := range []*string{&s.storeAddr, &s.admin, &s.addr} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		*addr = l.Addr().String()
		l.Close()
	}
	s.storeArgs = append([]string{"-addr", s.storeAddr, "-admin-addr", s.admin, "-fault", strings.Join(faults, ",")}, storeArgs...)
	s.proxy = "http://" + s.addr
	if err := s.startStore(ctx); err != nil {
		return nil, err
	}
	var err error
	if s.front, err = s.run(ctx, "proxy", s.proxy, append([]string{"-addr", s.addr, "-store", "http://" + s.storeAddr}, proxyArgs...)...); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *services) run(ctx context.Context, name, url string, args ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.p.dir, name), args...)
	cmd.Env = append(os.Environ(), "OTEL_SDK_DISABLED=", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT="+s.p.otlp.URL)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(url + "/healthz")
		if err == nil {
			resp.Body.Close()
			return cmd, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s does not answer: %w", name, err)
		}
	}
}

func (s *services) startStore(ctx context.Context) (err error) {
	s.store, err = s.run(ctx, "store", "http://"+s.storeAddr, s.storeArgs...)
	return err
}

// kill ends the store at once.
func (s *services) kill() {
	_ = s.store.Process.Kill()
	_ = s.store.Wait()
}

func (s *services) stop() {
	for _, cmd := range []*exec.Cmd{s.front, s.store} {
		if cmd != nil && cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
}

// setFaults replaces the store's.
func (s *services) setFaults(ctx context.Context, faults []string) error {
	body, err := json.Marshal(map[string][]string{"faults": faults})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+s.admin+"/admin/faults", bytes.NewReader(body))
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

// state is how large a program is.
type state struct{ goroutines, memory int64 }

// proxyState returns the proxy's state after a rest.
func (s *services) proxyState() (state, error) {
	time.Sleep(5 * time.Second) // what was in flight ends, and garbage is collected
	resp, err := http.Get(s.proxy + "/metrics")
	if err != nil {
		return state{}, err
	}
	defer resp.Body.Close()
	var st state
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if name, value, _ := strings.Cut(lines.Text(), " "); strings.HasPrefix(name, "go_goroutine_count") {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return st, err
			}
			st.goroutines = int64(n)
		}
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.front.Process.Pid))
	if err != nil {
		return st, nil // not Linux
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	st.memory = pages * int64(os.Getpagesize())
	return st, err
}
