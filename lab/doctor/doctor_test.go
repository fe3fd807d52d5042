package doctor

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"soundcheck/lab/build"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

// supervise makes the test program the supervisor of the fleet that it reads.
const supervise = "supervise-fleet"

type fleet struct {
	Lab        plan.Lab
	Components []plan.Component
	Builder    build.Builder
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == supervise {
		var f fleet
		if err := gob.NewDecoder(os.Stdin).Decode(&f); err != nil {
			panic(err)
		}
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := supervisor.Run(ctx, f.Lab, f.Components, &f.Builder, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
			slog.Error(err.Error())
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// freeLab returns a lab whose ports are all free, in a folder with a short path.
func freeLab(t *testing.T) plan.Lab {
	t.Helper()
	state, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l := plan.Lab{Root: root, State: state}
	for l.Offset = 8000 + os.Getpid()%50*41; supervisor.CheckPorts(l.Components()) != nil; l.Offset += 37 {
		if l.Offset > 14000 {
			t.Fatal("no ports are free")
		}
	}
	return l
}

// running is a lab with a supervisor in a process of its own.
type running struct {
	*testing.T
	fleet
	supervisor *exec.Cmd
}

// start runs components of a lab, and waits until they are up.
func start(t *testing.T, l plan.Lab, b *build.Builder, components ...plan.Component) *running {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &running{T: t, fleet: fleet{l, components, *b}, supervisor: exec.Command(exe, supervise)}
	var in, log bytes.Buffer
	if err := gob.NewEncoder(&in).Encode(r.fleet); err != nil {
		t.Fatal(err)
	}
	r.supervisor.Stdin, r.supervisor.Stdout, r.supervisor.Stderr = &in, &log, &log
	if err := r.supervisor.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { r.supervisor.Wait(); close(ended) }()
	t.Cleanup(func() {
		r.supervisor.Process.Signal(syscall.SIGTERM)
		<-ended
		if _, err := supervisor.Sweep(l.State); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the supervisor:\n%s", log.String())
		}
	})
	eventually(t, "the lab is up", func() bool {
		select {
		case <-ended:
			t.Fatalf("the supervisor has ended:\n%s", log.String())
		default:
		}
		st, err := supervisor.NewClient(l.State).Status(t.Context())
		return err == nil && st.Phase == supervisor.Up
	})
	return r
}

// eventually waits for a condition; the limit is only for the case that it never holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(8 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after 8 minutes", what)
		}
	}
}

func (r *running) options() Options {
	return Options{Lab: plan.Lab{Root: r.Lab.Root, State: r.Lab.State}, Build: &r.Builder, Environ: os.Environ(), StateFlag: " -state " + r.Lab.State, interval: 300 * time.Millisecond}
}

// run makes the checks.
func (r *running) run() *Result {
	r.Helper()
	result, err := Run(r.Context(), r.options())
	if err != nil {
		r.Fatal(err)
	}
	return result
}

// status is that of a component.
func (r *running) status(name string) supervisor.ComponentStatus {
	r.Helper()
	st, err := supervisor.NewClient(r.Lab.State).Status(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	return st.Components[slices.IndexFunc(st.Components, func(p supervisor.ComponentStatus) bool { return p.Name == name })]
}

// check returns one check of a result.
func check(t *testing.T, r *Result, name string) Check {
	t.Helper()
	i := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("there is no check %q", name)
	}
	return r.Checks[i]
}

// wantOK fails unless nothing was found.
func wantOK(t *testing.T, c Check) {
	t.Helper()
	if c.Outcome != OK || len(c.Findings) > 0 || c.Text == "" {
		t.Errorf("%s: %+v, want ok", c.Name, c)
	}
}

// has reports whether a check found something: parts of the text, the cause and the command.
func has(c Check, outcome Outcome, text, cause, next string) bool {
	return slices.ContainsFunc(c.Findings, func(f Finding) bool {
		return f.Outcome == outcome && strings.Contains(f.Text, text) && strings.Contains(f.Cause, cause) && strings.Contains(f.Next+or+f.Or, next)
	}) && (c.Outcome == outcome || c.Outcome == Problem)
}

func want(t *testing.T, c Check, outcome Outcome, text, cause, next string) {
	t.Helper()
	if !has(c, outcome, text, cause, next) {
		t.Errorf("%s: %+v\nwant %s %q, cause %q, next %q", c.Name, c, outcome, text, cause, next)
	}
}

// fakeLab is a doctor of a lab that is not there, with what a test sets.
func fakeLab(t *testing.T) *doctor {
	t.Helper()
	l := freeLab(t)
	d := &doctor{Options: Options{Lab: l, Build: &build.Builder{Root: l.Root, Bin: filepath.Join(l.State, "bin")}}, client: http.DefaultClient, components: l.Components()}
	d.lookup = nil
	return d
}

// set changes the faults of a service.
func (r *running) set(admin string, faults ...string) {
	r.Helper()
	body, err := json.Marshal(map[string][]string{"faults": append([]string{}, faults...)})
	if err != nil {
		r.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPut, admin, bytes.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		r.Fatalf("set faults: %s: %s", resp.Status, text)
	}
}

// load sends GETs to a URL from many clients until the returned function is called.
func (r *running) load(url string, clients int) (stop func()) {
	ctx, cancel := context.WithCancel(r.Context())
	done := make(chan struct{}, clients)
	for range clients {
		go func() {
			defer func() { done <- struct{}{} }()
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
				if err != nil {
					panic(err)
				}
				if resp, err := http.DefaultClient.Do(req); err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}
		}()
	}
	return func() {
		cancel()
		for range clients {
			<-done
		}
	}
}

// finds waits until a check has found something.
func (r *running) finds(name string, outcome Outcome, text, cause, next string) {
	r.Helper()
	var last Check
	defer func() {
		if r.Failed() {
			r.Logf("last: %+v", last)
		}
	}()
	eventually(r.T, fmt.Sprintf("%s finds %q, cause %q, next %q", name, text, cause, next), func() bool {
		last = check(r.T, r.run(), name)
		return has(last, outcome, text, cause, next)
	})
}

// finds nothing waits until a check is ok.
func (r *running) ok(name string) {
	r.Helper()
	var last Check
	defer func() {
		if r.Failed() {
			r.Logf("last: %+v", last)
		}
	}()
	eventually(r.T, name+" is ok", func() bool {
		last = check(r.T, r.run(), name)
		return last.Outcome == OK
	})
}
