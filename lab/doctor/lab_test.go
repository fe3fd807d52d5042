package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"soundcheck/lab/build"
	"soundcheck/lab/plan"
	"soundcheck/lab/proc"
	"soundcheck/lab/supervisor"
)

// smallLab runs a component of a program that a test can change. Its name and its binary's are those of Jaeger, as one of
// the lab's.
func smallLab(t *testing.T) (r *running, source, config string) {
	t.Helper()
	l := freeLab(t)
	root := filepath.Join(l.State, "root")
	source, config = filepath.Join(root, "main.go"), filepath.Join(root, "config.yaml")
	for path, text := range map[string]string{
		filepath.Join(root, "go.mod"): "module program\n\ngo 1.24\n",
		filepath.Join(root, "go.sum"): "",
		config:                        "a: 1\n",
		source: `package main

import (
	"net/http"
	"os"
)

func main() {
	if err := http.ListenAndServe(os.Args[1], nil); err != nil {
		println(err.Error())
		os.Exit(1)
	}
}
`,
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(l.Logs(), 0o755); err != nil {
		t.Fatal(err)
	}
	l.Root = root
	p := plan.Component{Name: "jaeger", Target: build.Target{Name: "jaeger", Module: ".", Package: ".", Sources: []string{"."}},
		Args: []string{fmt.Sprintf("127.0.0.1:%d", plan.JaegerAPIPort+l.Offset)}, Config: []string{config}, Env: os.Environ()}
	return start(t, l, &build.Builder{Root: root, Bin: filepath.Join(l.State, "bin"), Logs: l.Logs()}, p), source, config
}

// examine is a doctor of a small lab.
func (r *running) examine() *doctor {
	r.Helper()
	d := &doctor{Options: r.options(), components: r.Components}
	if err := d.find(r.Context()); err != nil {
		r.Fatal(err)
	}
	return d
}

// killSupervisor ends the supervisor as a crash would.
func (r *running) killSupervisor() {
	r.Helper()
	if err := r.supervisor.Process.Kill(); err != nil {
		r.Fatal(err)
	}
	eventually(r.T, "the supervisor is gone", func() bool {
		running, err := supervisor.Running(r.Lab.State)
		return err == nil && !running
	})
}

// A process is older than its sources, its configuration, or its binary.
func TestBuilds(t *testing.T) {
	r, source, config := smallLab(t)
	wantOK(t, *r.examine().checkBuilds(t.Context()))
	rewrite := func(path, from, to string) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, bytes.Replace(b, []byte(from), []byte(to), 1), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	restart := func() {
		t.Helper()
		if err := supervisor.NewClient(r.Lab.State).Restart(t.Context(), "jaeger"); err != nil {
			t.Fatal(err)
		}
		wantOK(t, *r.examine().checkBuilds(t.Context()))
	}
	rewrite(config, "1", "2")
	want(t, *r.examine().checkBuilds(t.Context()), Warning, "jaeger runs with an older configuration", "config.yaml was changed after it started", "go run ./lab restart -state "+r.Lab.State+" jaeger")
	restart()
	rewrite(source, "os.Exit(1)", "os.Exit(2)")
	want(t, *r.examine().checkBuilds(t.Context()), Warning, "built from older sources: jaeger", "main.go was changed after the build", " jaeger")
	// Another lab of the repository builds the binary.
	rewrite(source, "os.Exit(2)", "os.Exit(3)")
	path := r.Builder.Path(r.Components[0].Target)
	if err := r.Builder.Build(t.Context(), r.Components[0].Target, new(build.Progress)); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(10 * time.Second) // the build can take less than what is tolerated
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	want(t, *r.examine().checkBuilds(t.Context()), Warning, "older than the binary on disk: jaeger", "by another lab", " jaeger")
	earlier := time.Now().Add(-time.Second)
	if err := os.Chtimes(path, earlier, earlier); err != nil {
		t.Fatal(err)
	}
	restart()
}

// The supervisor was killed: its processes are named until they are stopped.
func TestKilled(t *testing.T) {
	r, _, _ := smallLab(t)
	pid := r.status("jaeger").Process.PID
	r.killSupervisor()
	result := r.run()
	want(t, check(t, result, "lab"), Problem, fmt.Sprintf("no supervisor watches 1 process: jaeger (pid %d)", pid), "was killed", "go run ./lab down -state "+r.Lab.State)
	if c := check(t, result, "ports"); c.Outcome != OK || !strings.Contains(c.Text, "1 of ") {
		t.Errorf("ports of a process that the first check reports: %+v", c)
	}
	id := r.examine().saved.Components[0].Process
	if err := id.End(time.Minute); err != nil {
		t.Fatal(err)
	}
	want(t, check(t, r.run(), "lab"), Warning, "the lab was not stopped properly; no component runs", "the machine restarted", "go run ./lab up -state "+r.Lab.State+" -again")
	if _, err := supervisor.Sweep(r.Lab.State); err != nil {
		t.Fatal(err)
	}
	wantOK(t, check(t, r.run(), "lab"))
}

// The state folder was deleted while the lab ran: no lab knows its processes.
func TestStray(t *testing.T) {
	if _, err := os.Readlink("/proc/self/exe"); err != nil {
		t.Skipf("this system has no /proc: %v", err)
	}
	r, _, _ := smallLab(t)
	id := r.status("jaeger").Process
	t.Cleanup(func() { id.End(time.Minute) })
	r.killSupervisor()
	gone := r.Lab.State + "-gone"
	if err := os.Rename(r.Lab.State, gone); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(gone) })
	d := r.examine()
	d.Build = &build.Builder{Root: r.Lab.Root, Bin: filepath.Join(gone, "bin")} // as if the folder of binaries was not moved
	if err := os.Remove(filepath.Join(gone, "state.json")); err != nil {
		t.Fatal(err)
	}
	want(t, *d.checkLab(t.Context()), Problem, fmt.Sprintf("jaeger (pid %d) runs, and no lab knows it", id.PID), "no lab in "+gone, fmt.Sprintf("kill %d", id.PID))
	if err := id.End(time.Minute); err != nil {
		t.Fatal(err)
	}
	wantOK(t, *d.checkLab(t.Context()))
}

// A lab that failed says why; external stores must respond; the state of another lab is an error.
func TestLab(t *testing.T) {
	d := fakeLab(t)
	wantOK(t, *d.checkLab(t.Context()))
	if err := os.MkdirAll(d.Lab.Logs(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.Lab.Logs(), supervisor.ErrName), []byte("lab: port 9090 is in use, prometheus needs it\nmore\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	want(t, *d.checkLab(t.Context()), Warning, "the lab stopped by itself", "port 9090 is in use, prometheus needs it", "go run ./lab up")
	if err := os.WriteFile(filepath.Join(d.Lab.State, "state.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := d.find(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, *d.checkLab(t.Context()), Problem, "the state of the lab is not known", "state.json", "ls -l ")

	d = fakeLab(t)
	d.status = &supervisor.Status{Phase: supervisor.Starting, Components: []supervisor.ComponentStatus{{Name: "jaeger", State: supervisor.Building}, {Name: "console", State: supervisor.Ready}}}
	want(t, *d.checkLab(t.Context()), Warning, "1 component still starting", "being built", "go run ./lab status")
	d.status.Components[0] = supervisor.ComponentStatus{Name: "jaeger", State: supervisor.Failed, Detail: "exit status 1"}
	want(t, *d.checkLab(t.Context()), Problem, "jaeger is failed", "exit status 1; its log is empty", "go run ./lab logs jaeger")
	d.status.Components = d.status.Components[1:]
	d.Lab.Stores = []string{"http://127.0.0.1:1"}
	want(t, *d.checkLab(t.Context()), Problem, "the external album store at http://127.0.0.1:1 does not respond", "connection refused", "curl -i http://127.0.0.1:1/readyz")

	// A stopped process is found before the supervisor finds that it does not respond.
	sleep := exec.Command("sleep", "1000")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer sleep.Wait()
	defer sleep.Process.Kill()
	id, err := proc.Identify(sleep.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	d.Lab.Stores = nil
	d.status.Components = []supervisor.ComponentStatus{{Name: "jaeger", State: supervisor.Ready, Process: id}}
	wantOK(t, *d.checkLab(t.Context()))
	if runtime.GOOS == "linux" {
		if err := sleep.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		resume := fmt.Sprintf("kill -CONT %d", id.PID)
		eventually(t, "jaeger is stopped", func() bool {
			return has(*d.checkLab(t.Context()), Problem, "jaeger is stopped", "SIGSTOP", resume)
		})
		d.status, d.unknown, d.saved = nil, errors.New("no response"), &supervisor.Status{Supervisor: id}
		want(t, *d.checkLab(t.Context()), Problem, "the supervisor is stopped", "SIGSTOP", resume)
	}

	r, _, _ := smallLab(t)
	o := r.options()
	o.Lab.Offset = r.Lab.Offset + 1
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("runs with -port-offset %d, not %d", r.Lab.Offset, o.Lab.Offset)) {
		t.Errorf("with another offset: %v", err)
	}
}

func TestResult(t *testing.T) {
	t.Parallel()
	c, other := newCheck("ports"), newCheck("disk")
	c.warn("a", "", "one")
	c.problem("b "+strings.Repeat("word ", 30), "why "+strings.Repeat("word ", 30), "a very long command "+strings.Repeat("x", 120))
	c.warn("c", "", "two"+or+"do three")
	other.note("%d free", 1)
	other.note("more")
	r := newResult("/s", []*Check{c, other})
	if c.Outcome != Problem || r.Problems != 1 || r.Warnings != 2 {
		t.Errorf("%+v", r)
	}
	var text, problems, j bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	wantText := `ports        warning a
                     next:  one
             problem b` + strings.Repeat(" word", 17) + "\n" + strings.Repeat(" ", 20) + strings.Repeat(" word", 13) + "\n" +
		strings.Repeat(" ", 21) + "cause: why" + strings.Repeat(" word", 15) + "\n" + strings.Repeat(" ", 26) + strings.Repeat(" word", 15) + "\n" +
		strings.Repeat(" ", 21) + "next:  a very long command " + strings.Repeat("x", 120) + "\n" + `             warning c
                     next:  two
                     or:    do three
disk         ok      1 free; more

1 problem, 2 warnings: /s
`
	if text.String() != wantText {
		t.Errorf("text\n%s\nwant\n%s", text.String(), wantText)
	}
	if err := r.WriteProblems(&problems); err != nil || !strings.HasPrefix(problems.String(), "ports        problem b word") || strings.Contains(problems.String(), "warning") {
		t.Errorf("problems\n%s%v", problems.String(), err)
	}
	var back Result
	if err := r.WriteJSON(&j); err != nil || json.Unmarshal(j.Bytes(), &back) != nil || len(back.Checks) != 2 || back.Checks[0].Findings[1].Outcome != Problem || back.Problems != 1 {
		t.Errorf("JSON %s, %v", j.String(), err)
	}
}
