package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"soundcheck/internal/cli/clitest"
	"soundcheck/lab/build"
	"soundcheck/lab/obtain"
	"soundcheck/lab/plan"
	"soundcheck/lab/probe"
	"soundcheck/lab/proc"
)

// goFirst is the go command that the tests find first. It waits before it builds
// a module as long as a file MODULE.hold stands beside the module's folder.
const goFirst = `#!/bin/sh
while [ "$1" = build ] && [ -e "$PWD.hold" ]; do sleep 0.02; done
exec %q "$@"
`

// programs is where the program of most tests is, built once.
var programs build.Builder

var discard = slog.New(slog.DiscardHandler)

var program = build.Target{Name: "program", Module: ".", Package: ".", Sources: []string{"."}}

func TestMain(m *testing.M) {
	probeEvery = 50 * time.Millisecond
	autoFirstByte, obtain.VersionTimeout = 5*time.Minute, 5*time.Minute // on a busy machine
	if len(os.Args) > 1 && os.Args[1] == superviseFleet {
		os.Exit(supervise())
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "supervisor")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	real, err := exec.LookPath("go")
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), fmt.Appendf(nil, goFirst, real), 0o755); err != nil {
		panic(err)
	}
	os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	root, err := filepath.Abs("testdata/program")
	if err != nil {
		panic(err)
	}
	programs = build.Builder{Root: root, Bin: filepath.Join(dir, "bin"), Logs: dir}
	if err := programs.Build(context.Background(), program, new(build.Progress)); err != nil {
		log, _ := os.ReadFile(programs.Log(program))
		panic(fmt.Sprintf("%v\n%s", err, log))
	}
	return m.Run()
}

// lab is a lab that runs inside the test.
type lab struct {
	plan.Lab
	t        *testing.T
	programs []plan.Component
	build    *build.Builder
	log      logs
	cancel   context.CancelFunc
	done     chan struct{}
	err      error // of Run; to be read when done is closed
}

// newLab returns a lab without programs, in a short folder: a socket's path must
// not be long.
func newLab(t *testing.T) *lab {
	t.Helper()
	dir, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l := &lab{Lab: plan.Lab{State: dir}, t: t, cancel: func() {}}
	own := programs
	own.Logs = l.Logs()
	l.build = &own
	return l
}

// add gives the lab one more program.
func (l *lab) add(name string, args ...string) *plan.Component {
	l.t.Helper()
	port := freePort(l.t)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	l.programs = append(l.programs, plan.Component{
		Name: name, Target: program,
		Args:    append([]string{"-name", name, "-addr", addr, "-events", filepath.Join(l.State, "events")}, args...),
		Ports:   []plan.Port{{Number: port, Use: "HTTP"}},
		Address: "http://" + addr,
		Ready:   "http://" + addr + "/ready",
	})
	return &l.programs[len(l.programs)-1]
}

var lastPort atomic.Int64

// freePort returns a port that no one takes by chance: those that the kernel
// gives out are higher.
func freePort(t *testing.T) int {
	t.Helper()
	for range 3000 {
		port := 21000 + (os.Getpid()*31+int(lastPort.Add(1)))%3000
		if probe.Free(port) {
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// start runs the lab in the background. At the end of the test it is stopped,
// and must have left nothing.
func (l *lab) start() {
	l.t.Helper()
	ctx, cancel := context.WithCancel(l.t.Context())
	l.cancel, l.done = cancel, make(chan struct{})
	go func() {
		defer close(l.done)
		l.err = Run(ctx, l.Lab, l.programs, l.build, slog.New(slog.NewJSONHandler(&l.log, nil)))
	}()
	l.t.Cleanup(func() {
		cancel()
		<-l.done
		l.wantNothingLeft()
		if l.t.Failed() {
			l.t.Logf("the lab's log:\n%s", l.log.String())
		}
	})
}

// up starts the lab and waits until it is up.
func (l *lab) up() {
	l.t.Helper()
	l.start()
	l.await("the lab is up", func(st Status) bool { return st.Phase == Up })
}

// stop ends the lab and waits for it.
func (l *lab) stop() {
	l.t.Helper()
	l.cancel()
	l.ended()
}

// ended waits until Run has returned.
func (l *lab) ended() error {
	l.t.Helper()
	select {
	case <-l.done:
	case <-time.After(10 * time.Minute):
		l.t.Fatalf("Run has not returned; log:\n%s", l.log.String())
	}
	return l.err
}

// await waits until the lab's status is as wanted.
func (l *lab) await(what string, ok func(Status) bool) (st Status) {
	l.t.Helper()
	eventually(l.t, what, func() bool {
		select {
		case <-l.done:
			l.t.Fatalf("%s: the lab has ended: %v", what, l.err)
		default:
		}
		var err error
		st, err = NewClient(l.State).Status(l.t.Context())
		return err == nil && ok(st)
	})
	return st
}

// state waits until a program is in a state.
func (l *lab) state(name string, want State) ComponentStatus {
	l.t.Helper()
	st := l.await(name+" is "+string(want), func(st Status) bool { return st.program(name).State == want })
	return st.program(name)
}

func (st Status) program(name string) ComponentStatus {
	for _, p := range st.Components {
		if p.Name == name {
			return p
		}
	}
	return ComponentStatus{}
}

// wantNothingLeft fails if the lab left a process or its status file.
func (l *lab) wantNothingLeft() {
	l.t.Helper()
	for _, id := range l.log.processes() {
		if id.Alive() {
			l.t.Errorf("process %d still runs", id.PID)
		}
	}
	for _, name := range []string{socketName, stateName, stateName + ".new"} {
		if _, err := os.Stat(filepath.Join(l.State, name)); !errors.Is(err, os.ErrNotExist) {
			l.t.Errorf("%s is left", name)
		}
	}
	eventually(l.t, "the folder is unlocked", func() bool {
		running, err := Running(l.State)
		return err == nil && !running
	})
}

// events returns what the programs wrote down.
func (l *lab) events() []string {
	b, err := os.ReadFile(filepath.Join(l.State, "events"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		l.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// logs keeps what the supervisor logs, and which processes were ready.
type logs struct {
	clitest.Output
	mu  sync.Mutex
	ids []proc.ID
}

// Write identifies a process at once: a busy machine soon uses its number again for another one.
func (l *logs) Write(line []byte) (int, error) {
	var r record
	if json.Unmarshal(line, &r) == nil && r.Msg == "ready" {
		if id, err := proc.Identify(r.PID); err == nil {
			l.mu.Lock()
			l.ids = append(l.ids, id)
			l.mu.Unlock()
		}
	}
	return l.Output.Write(line)
}

type record struct {
	Msg       string
	Component string
	PID       int
	Backoff   time.Duration
}

// records returns those with this message.
func (l *logs) records(msg string) (found []record) {
	for line := range strings.Lines(l.String()) {
		var r record
		if json.Unmarshal([]byte(line), &r) == nil && r.Msg == msg {
			found = append(found, r)
		}
	}
	return found
}

// processes returns all that were ever ready.
func (l *logs) processes() []proc.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.ids)
}

// eventually waits for a condition; the limit is only for the case that it never holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after 5 minutes", what)
		}
	}
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func get(t *testing.T, url string) string {
	t.Helper()
	body, err := tryGet(t, url)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func tryGet(t *testing.T, url string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// wantError fails unless the message of err contains all texts.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error is\n%v\nwithout %q", err, part)
		}
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
