// Package e2e tests the lab as its users run it: the real programs, built from
// the sources that are here, with the real Jaeger, Prometheus and Collector.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"soundcheck/internal/e2e/services"
	"soundcheck/lab/build"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

// lab is a lab on ports and in a state folder of its own.
type lab struct {
	plan.Lab
	bin string // lab, datagen and loadgen
}

// newLab builds the command-line programs and finds free ports.
func newLab(t *testing.T) *lab {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{Lab: plan.Lab{Root: root, State: t.TempDir()}, bin: t.TempDir()}
	l.build(t, "./lab", "./datagen", "./loadgen")
	l.move(t, 12000)
	return l
}

// build builds packages into l.bin.
func (l *lab) build(t *testing.T, packages ...string) {
	t.Helper()
	args := append([]string{"build", "-o", l.bin + "/"}, build.Flags...) // what is compiled for the lab already
	l.mustRun(t, time.Hour, "go", append(args, packages...)...)
}

// move moves the lab's ports to where all are free: by so much, or up to 2000 more. They
// stay below 32768, where Linux takes the ports of clients from.
func (l *lab) move(t *testing.T, by int) {
	t.Helper()
	for l.Offset = by; ; l.Offset += 37 {
		if err := supervisor.CheckPorts(l.Components()); err == nil {
			break
		} else if l.Offset > by+2000 {
			t.Fatal(err)
		}
	}
}

// run runs a program in the repository's root, and returns its output and exit code.
func (l *lab) run(t *testing.T, timeout time.Duration, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return l.runContext(ctx, t, name, args...)
}

func (l *lab) runContext(ctx context.Context, t *testing.T, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	if name != "go" {
		name = filepath.Join(l.bin, name)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	cmd.Dir = l.Root
	cmd.Env = append(os.Environ(), "OTEL_EXPORTER_OTLP_ENDPOINT="+l.OTLP(), "OTEL_METRIC_EXPORT_INTERVAL=5000",
		"SOUNDCHECK_LAB_FROM=source") // what go.mod pins, whatever is installed here
	var out, errs bytes.Buffer
	// What takes long shows how far it is.
	cmd.Stdout, cmd.Stderr = &out, io.MultiWriter(&errs, os.Stderr)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func (l *lab) mustRun(t *testing.T, timeout time.Duration, name string, args ...string) string {
	t.Helper()
	stdout, stderr, code := l.run(t, timeout, name, args...)
	if code != 0 {
		t.Fatalf("%s %s: exit code %d\n%s%s", name, strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// attack runs loadgen, and fails if a request did. That a busy machine does not keep to
// the plan (exit code 4) is no failure of the lab.
func (l *lab) attack(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, code := l.run(t, 10*time.Minute, "loadgen", append(args, "-url", l.Proxy(), "-jaeger", l.Jaeger(), "-keep", filepath.Join(l.State, "runs"))...)
	if code != 0 && code != 4 || !strings.Contains(stdout, "\nfailed        0 (0.00%)\n") && !slices.Contains(args, "json") {
		t.Fatalf("loadgen %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// up starts the lab, and makes sure that nothing of it outlives the test.
func (l *lab) up(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		// t.Context() has ended by now.
		l.runContext(context.Background(), t, "lab", "down", "-state", l.State)
		if t.Failed() {
			for _, p := range l.Components() {
				t.Logf("%s:\n%s", p.Name, supervisor.Tail(filepath.Join(l.Logs(), p.Name+".log"), 5))
			}
			t.Logf("lab:\n%s", supervisor.Tail(filepath.Join(l.Logs(), "lab.log"), 40))
		}
	})
	out := l.mustRun(t, 30*time.Minute, "lab", "up", "-state", l.State, "-port-offset", fmt.Sprint(l.Offset), "-store", strings.Join(l.Stores, ","))
	t.Log("\n" + out)
}

func (l *lab) status(t *testing.T) supervisor.Status {
	t.Helper()
	st, err := supervisor.NewClient(l.State).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// allReady is nil if every program is.
func (l *lab) allReady(t *testing.T) error {
	var errs []error
	for _, p := range l.status(t).Components {
		if p.State != supervisor.Ready {
			errs = append(errs, fmt.Errorf("%s is %s: %s", p.Name, p.State, p.Detail))
		}
	}
	return errors.Join(errs...)
}

// eventually waits until check returns nil. The time limit is only for the case
// that it never does.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// setFaults replaces the faults of the service whose faults are at admin, also when the
// test is over.
func (l *lab) setFaults(t *testing.T, admin string, faults ...string) {
	t.Helper()
	if err := services.SetFaults(context.WithoutCancel(t.Context()), admin, faults...); err != nil {
		t.Fatal(err)
	}
}

// getJSON reads the JSON answer of a backend.
func getJSON(t *testing.T, address string, into any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v\n%.500s", address, resp.Status, err, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%s: %v\n%.500s", address, err, body)
	}
}

// query evaluates a PromQL expression now, and returns a value for each
// service_name (or "" where the result has no such label).
func (l *lab) query(t *testing.T, promQL string) map[string]float64 {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]json.RawMessage
			}
		}
	}
	getJSON(t, l.Prometheus()+"/api/v1/query?query="+url.QueryEscape(promQL), &answer)
	values := map[string]float64{}
	for _, r := range answer.Data.Result {
		var text string
		if err := json.Unmarshal(r.Value[1], &text); err != nil {
			t.Fatalf("%s: %s: %v", promQL, r.Value[1], err)
		}
		var v float64
		if _, err := fmt.Sscan(text, &v); err != nil {
			t.Fatalf("%s: %q is no number: %v", promQL, text, err)
		}
		values[r.Metric["service_name"]] = v
	}
	return values
}

// slowest calls the proxy until stop is closed, and returns how long the slowest
// answer took, whatever it was.
func (l *lab) slowest(t *testing.T, stop <-chan struct{}) func() (time.Duration, int) {
	var (
		most  time.Duration
		calls int
		wg    sync.WaitGroup
	)
	client := &http.Client{Timeout: 20 * time.Second}
	wg.Go(func() {
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-t.Context().Done(): // a test that failed stops nothing
				tick.Stop()
				return
			case <-tick.C:
			}
			begun := time.Now()
			resp, err := client.Get(l.Proxy() + "/albums/1")
			if err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			most = max(most, time.Since(begun))
			calls++
		}
	})
	return func() (time.Duration, int) {
		wg.Wait()
		return most, calls
	}
}
