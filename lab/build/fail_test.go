package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"soundcheck/lab/proc"
)

func TestCompileError(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	mustBuild(t, b)
	write(t, b, "text/text.go", "package text\n\nconst Text = missing\n")
	err := b.Build(t.Context(), hello, new(Progress))
	if err == nil || !strings.HasPrefix(err.Error(), "build hello: ") {
		t.Fatalf("Build = %v, want build hello: …", err)
	}
	if log := read(t, b.Log(hello)); !strings.Contains(log, "text/text.go:3:14: undefined: missing") {
		t.Errorf("the log is\n%s, want the compiler's message", log)
	}
	wantClean(t, b)
	if got := output(t, b); got != "one" {
		t.Errorf("after a build that failed the program prints %q, want %q, as before", got, "one")
	}
	if b.Fresh(hello) {
		t.Error("Fresh after a build that failed")
	}
}

func TestListError(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	write(t, b, "text/text.go", "package text\n\nimport _ \"example.invalid/nowhere\"\n\nconst Text = ``\n")
	err := b.Build(t.Context(), hello, new(Progress))
	if err == nil || !strings.HasPrefix(err.Error(), "build hello: list its packages: ") {
		t.Errorf("Build = %v, want build hello: list its packages: …", err)
	}
	if log := read(t, b.Log(hello)); !strings.Contains(log, "example.invalid/nowhere") {
		t.Errorf("the log is\n%s, want the name of the package", log)
	}
	wantClean(t, b)
}

// The log's disk is full: the build fails and does not block. /dev/full exists only on
// Linux.
func TestLogFull(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	b := newBuilder(t)
	write(t, b, "text/text.go", "package text\n\nconst Text = missing"+strings.Repeat("x", 1<<17)+"\n")
	if err := os.Symlink("/dev/full", b.Log(hello)); err != nil {
		t.Fatal(err)
	}
	if err := b.Build(t.Context(), hello, new(Progress)); err == nil {
		t.Error("no error")
	}
	wantClean(t, b)
}

// A line of any length is no reason to hang either.
func TestLongLine(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	write(t, b, "text/text.go", "package text\n\nconst Text = missing"+strings.Repeat("x", 1<<17)+"\n")
	if err := b.Build(t.Context(), hello, new(Progress)); err == nil {
		t.Error("no error")
	}
	if n := len(read(t, b.Log(hello))); n < 1<<17 {
		t.Errorf("the log has %d bytes, want the whole line", n)
	}
}

// What another build left when it was killed is no obstacle, and goes.
func TestAfterKilledBuild(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	if err := os.MkdirAll(filepath.Join(b.Bin, ".hello.tmp", "go-build1"), 0o755); err != nil {
		t.Fatal(err)
	}
	touch(t, filepath.Join(b.Bin, ".hello.tmp", "go-build1", "half"))
	mustBuild(t, b)
	if got := output(t, b); got != "one" {
		t.Errorf("the program prints %q, want %q", got, "one")
	}
}

// A program must never stand beside the sum of other sources: one who goes back
// to these would be given the wrong program for good.
func TestBinaryWithoutSum(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	mustBuild(t, b)
	first := read(t, filepath.Join(b.Root, "hello/text/text.go"))
	write(t, b, "text/text.go", "package text\n\nconst Text = `two`\n")
	// The new sum cannot be written: the build ends after the program is in place.
	sum := b.Path(hello) + ".sum"
	if err := os.Remove(sum); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(sum, 0o755); err != nil {
		t.Fatal(err)
	}
	touch(t, filepath.Join(sum, "file"))
	if err := b.Build(t.Context(), hello, new(Progress)); err == nil {
		t.Error("Build without a place for the sum: no error")
	}
	if got := output(t, b); got != "one" {
		t.Errorf("the program prints %q, want %q: the old sum was still there when it was replaced", got, "one")
	}
	if err := os.RemoveAll(sum); err != nil {
		t.Fatal(err)
	}
	write(t, b, "text/text.go", first)
	mustBuild(t, b)
	if got := output(t, b); got != "one" {
		t.Errorf("the program prints %q, want %q", got, "one")
	}
}

// groupGone reports whether no process of the group is left.
func groupGone(leader int) bool { return syscall.Kill(-leader, 0) != nil }

// TestCancelDuringLock cancels while the go command has a child.
func TestCancelDuringLock(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	touch(t, filepath.Join(b.Root, "hello.calls"))
	touch(t, filepath.Join(b.Root, "hello.hold"))
	wantCancelled(t, b, func(*Progress) bool {
		return strings.Contains(read(t, filepath.Join(b.Root, "hello.calls")), "begin build")
	})
}

// TestCancelCompile cancels while compilers run: with an empty cache there is
// much to do.
func TestCancelCompile(t *testing.T) { // not parallel: GOCACHE
	t.Setenv("GOCACHE", t.TempDir())
	b := newBuilder(t)
	wantCancelled(t, b, func(p *Progress) bool { return p.Done.Load() > 0 })
}

func wantCancelled(t *testing.T, b *Builder, when func(*Progress) bool) {
	t.Helper()
	var leader atomic.Int64
	p := &Progress{Runs: func(id proc.ID) { leader.Store(int64(id.PID)) }}
	ctx, cancel := context.WithCancel(t.Context())
	built := make(chan error)
	go func() { built <- b.Build(ctx, hello, p) }()
	eventually(t, "the build has begun", func() bool { return when(p) })
	cancel()
	if err := <-built; err == nil {
		t.Error("Build that was cancelled: no error")
	}
	if pid := int(leader.Load()); pid == 0 || !groupGone(pid) {
		t.Errorf("processes of group %d are left", pid)
	}
	wantClean(t, b)
	if b.Fresh(hello) {
		t.Error("Fresh after a build that was cancelled")
	}
}

func TestBuildsAreSerialized(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	calls := filepath.Join(b.Root, "hello.calls")
	touch(t, calls)
	touch(t, filepath.Join(b.Root, "hello.hold"))
	other := &Builder{Root: b.Root, Bin: b.Bin, Logs: t.TempDir()} // of another lab
	var wg sync.WaitGroup
	for _, b := range []*Builder{b, other} {
		wg.Go(func() {
			if err := b.Build(t.Context(), hello, new(Progress)); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "one builds", func() bool { return strings.Contains(read(t, calls), "begin build") })
	// A third one is tired of waiting.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Build(ctx, hello, new(Progress)); !errors.Is(err, context.Canceled) {
		t.Errorf("Build that was cancelled while it waited = %v, want %v", err, context.Canceled)
	}
	if err := os.Remove(filepath.Join(b.Root, "hello.hold")); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	// The second one found it fresh.
	if got, want := read(t, calls), "begin list\nend list\nbegin build\nend build\n"; got != want {
		t.Errorf("calls of go:\n%swant\n%s", got, want)
	}
	wantClean(t, b)
}
