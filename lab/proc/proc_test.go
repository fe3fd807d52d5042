package proc

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a shell script that leads a group.
type process struct {
	ID
	cmd   *exec.Cmd
	first string // line that it printed
}

// start returns when the script has printed a line. What is left of the group is
// killed at the end of the test.
func start(t *testing.T, script string) process {
	t.Helper()
	p := process{cmd: exec.Command("sh", "-c", script)}
	p.cmd.SysProcAttr = Group()
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		p.cmd.Wait()
	})
	if p.ID, err = Identify(p.cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p.first = strings.TrimSpace(line)
	return p
}

// reap waits for the process in the background, as who started it must.
func (p process) reap() { go p.cmd.Process.Wait() }

const sleeper = "echo ready; exec sleep 600"

// eventually waits for a condition; the limit is only for the case that it never holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after 5 minutes", what)
		}
	}
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	self, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if self.PID != os.Getpid() || self.Start == "" {
		t.Errorf("Identify(self) = %+v", self)
	}
	if again, err := Identify(os.Getpid()); err != nil || again != self {
		t.Errorf("Identify(self) = %+v, %v, then %+v", again, err, self)
	}
	if !self.Alive() {
		t.Error("self is not alive")
	}
	if rss := self.RSS(); rss < 1<<20 || rss > 1<<34 {
		t.Errorf("self.RSS() = %d, want a number of bytes", rss)
	}
	if p := start(t, sleeper); p.ID == self || !p.Alive() {
		t.Errorf("another process: %+v, alive %v; self: %+v", p.ID, p.Alive(), self)
	}
}

// On Linux the process name is in the middle of the parsed line.
func TestNameOfProcess(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	odd := filepath.Join(t.TempDir(), "a) Z 1 (2 3")
	if err := os.Symlink(sh, odd); err != nil {
		t.Fatal(err)
	}
	p := start(t, "echo ready; exec '"+odd+"' -c 'sleep 600; :'")
	if name := filepath.Join("/proc", strconv.Itoa(p.PID), "comm"); exists(name) {
		eventually(t, "exec", func() bool {
			b, err := os.ReadFile(name)
			return err == nil && strings.HasPrefix(string(b), "a) Z 1")
		})
	}
	if again, err := Identify(p.PID); err != nil || again != p.ID || !p.Alive() {
		t.Errorf("Identify = %+v, %v, alive %v, want %+v, alive", again, err, p.Alive(), p.ID)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestZombieIsGone(t *testing.T) {
	t.Parallel()
	p := start(t, sleeper)
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the zombie is gone", func() bool { return !p.Alive() })
	// It is still there: it was not reaped.
	if err := syscall.Kill(p.PID, 0); err != nil {
		t.Fatalf("there is no zombie: %v", err)
	}
	if _, err := Identify(p.PID); err == nil {
		t.Error("Identify of a zombie: no error")
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("Signal to a zombie = %v, want %v", err, os.ErrProcessDone)
	}
	if err := p.End(time.Minute); err != nil {
		t.Errorf("End of a zombie: %v", err)
	}
}

// A reused PID does not identify our process.
func TestForeign(t *testing.T) {
	t.Parallel()
	p := start(t, sleeper)
	for _, id := range []ID{
		{p.PID, p.Start + "0"}, // of another moment
		{p.PID, "another-boot/" + p.Start},
		{p.PID, ""},
	} {
		if id.Alive() {
			t.Errorf("%+v is alive", id)
		}
		if err := id.Signal(syscall.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("%+v.Signal = %v, want %v", id, err, os.ErrProcessDone)
		}
		if err := id.End(time.Minute); err != nil {
			t.Errorf("%+v.End = %v", id, err)
		}
	}
	if !p.Alive() {
		t.Error("the foreign process was ended")
	}
}

// What kill(2) takes for many processes names none.
func TestNoProcess(t *testing.T) {
	t.Parallel()
	for _, pid := range []int{1, 0, -1, -os.Getpid()} {
		start, _ := startOf(pid)
		if id := (ID{pid, start}); id.Alive() || !errors.Is(id.Signal(0), os.ErrProcessDone) {
			t.Errorf("%+v counts as one process", id)
		}
	}
	if err := (ID{}).End(time.Minute); err != nil {
		t.Errorf("End of nothing: %v", err)
	}
}

func TestEnd(t *testing.T) {
	t.Parallel()
	p := start(t, sleeper)
	p.reap()
	begun := time.Now()
	if err := p.End(time.Hour); err != nil {
		t.Fatal(err)
	}
	if p.Alive() {
		t.Error("it is alive after End")
	}
	if took := time.Since(begun); took > 5*time.Minute {
		t.Errorf("End took %s though SIGTERM was enough", took)
	}
	if err := p.End(time.Minute); err != nil {
		t.Errorf("a second End: %v", err)
	}
}

func TestEndEscalates(t *testing.T) {
	t.Parallel()
	p := start(t, `trap '' TERM; echo ready; while :; do sleep 0.1; done`)
	p.reap()
	const grace = 200 * time.Millisecond
	begun := time.Now()
	if err := p.End(grace); err != nil {
		t.Fatal(err)
	}
	if p.Alive() {
		t.Error("it is alive after End")
	}
	if took := time.Since(begun); took < grace {
		t.Errorf("End took %s, want at least the grace of %s", took, grace)
	}
}

// Signal reaches what the process has started.
func TestSignalReachesGroup(t *testing.T) {
	t.Parallel()
	p := start(t, "sleep 600 & echo $!; wait")
	pid, err := strconv.Atoi(p.first)
	if err != nil {
		t.Fatal(err)
	}
	child, err := Identify(pid)
	if err != nil {
		t.Fatal(err)
	}
	p.reap()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are gone", func() bool { return !p.Alive() && !child.Alive() })
}

// A process that is started does not keep a pipe open that its starter was given.
func TestSealFiles(t *testing.T) { // not parallel: other tests start processes
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	given, err := syscall.Dup(int(w.Fd())) // open in what is started, as a shell's 3>&1 is
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	SealFiles()
	start(t, sleeper)
	syscall.Close(given)
	if err := r.SetReadDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("Read of the pipe = %d, %v, want %v: the process has it open", n, err, io.EOF)
	}
}
