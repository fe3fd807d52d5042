// Package build builds the lab's binaries from Go modules. A binary whose
// sources, module versions and toolchain are unchanged since its last build
// is reused without a call of the go command.
package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"soundcheck/lab/proc"
)

// Target is a binary to build.
type Target struct {
	Name    string   // of the binary
	Module  string   // folder of its module, below the root
	Package string   // import path or ./folder
	Tags    string   // build tags
	Sources []string // folders below Module whose files it is made from; none: only go.mod and go.sum
	// Early are packages that take so long that the go command must not begin them last.
	Early []string
}

// Progress is how far a build is. It may be read while the build runs.
type Progress struct {
	Begun       time.Time
	Done, Total atomic.Int64 // packages; Total is 0 until it is known
	// Runs, if not nil, is called with each go command, the leader of a process group.
	Runs func(proc.ID)
	// Listed is how many packages there are to compile, if List was called before; 0: Build lists them.
	Listed int64
	// Beside runs the build at a low priority: others get the processor first.
	Beside bool
}

// Builder builds into the folder Bin, or, for another platform than this one, into a
// folder of Bin.
type Builder struct {
	Root string // of the repository
	Bin  string
	Logs string // receives build-NAME.log
	// Platform of the binaries, such as linux/arm64; empty: this machine's.
	Platform string
}

// platform returns the target platform, and whether it is not this machine's.
func (b *Builder) platform() (goos, goarch string, foreign bool) {
	goos, goarch, _ = strings.Cut(b.Platform, "/")
	if b.Platform == "" {
		goos, goarch = runtime.GOOS, runtime.GOARCH
	}
	return goos, goarch, goos != runtime.GOOS || goarch != runtime.GOARCH
}

// dir returns the folder of the binaries.
func (b *Builder) dir() string {
	if goos, goarch, foreign := b.platform(); foreign {
		return filepath.Join(b.Bin, goos+"_"+goarch)
	}
	return b.Bin
}

// Path returns the path of t's binary.
func (b *Builder) Path(t Target) string { return filepath.Join(b.dir(), t.Name) }

// Log returns the path of t's build log.
func (b *Builder) Log(t Target) string {
	name := t.Name
	if goos, goarch, foreign := b.platform(); foreign {
		name += "-" + goos + "_" + goarch
	}
	return filepath.Join(b.Logs, "build-"+name+".log")
}

// Sum returns the fingerprint of the sources that t's binary was built from,
// or "" if it is not Fresh.
func (b *Builder) Sum(t Target) string {
	if !b.Fresh(t) {
		return ""
	}
	sum, _ := os.ReadFile(b.sum(t))
	return string(sum)
}

// Fresh reports whether t's binary is up to date with its sources.
func (b *Builder) Fresh(t Target) bool {
	if _, err := os.Stat(b.Path(t)); err != nil {
		return false
	}
	want, err := b.fingerprint(t)
	have, _ := os.ReadFile(b.sum(t))
	return err == nil && string(have) == want
}

// Build builds t if it is not fresh. Builds of one binary by several labs are serialized. The
// error names the binary; the output of the go command is in Log(t).
func (b *Builder) Build(ctx context.Context, t Target, p *Progress) error {
	return b.locked(ctx, t, func(log *os.File) error {
		if b.Fresh(t) {
			return nil
		}
		log.Truncate(0)
		return b.build(ctx, t, p, log)
	})
}

// locked calls do while no other process lists or builds t.
func (b *Builder) locked(ctx context.Context, t Target, do func(log *os.File) error) error {
	if err := os.MkdirAll(b.dir(), 0o755); err != nil {
		return err
	}
	unlock, err := Lock(ctx, filepath.Join(b.dir(), "."+t.Name+".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	log, err := os.OpenFile(b.Log(t), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		defer log.Close()
		err = do(log)
	}
	if err != nil {
		return fmt.Errorf("build %s: %w", t.Name, err)
	}
	return nil
}

// args are the arguments for t's package, after other packages.
func (b *Builder) args(t Target, others ...string) []string {
	return append(append(append(slices.Clone(Flags), "-tags="+t.Tags), others...), t.Package)
}

func (b *Builder) build(ctx context.Context, t Target, p *Progress, log io.Writer) error {
	sum, err := b.fingerprint(t)
	if err != nil {
		return err
	}
	b.clean(t) // after a build that was killed
	defer b.clean(t)
	if err := os.Mkdir(b.temp(t), 0o755); err != nil {
		return err
	}
	next, err := filepath.Abs(filepath.Join(b.temp(t), "out"))
	if err != nil {
		return err
	}
	if err := os.Mkdir(next, 0o755); err != nil {
		return err
	}
	total := p.Listed
	if total == 0 {
		packages, err := b.list(ctx, t, p, log)
		if err != nil {
			return err
		}
		total = int64(len(packages))
	}
	p.Total.Store(total)
	// -v writes one line for each package that is compiled.
	out := io.MultiWriter(&counter{n: &p.Done}, log)
	args := append([]string{"build", "-v", "-o", next + "/"}, b.args(t)...)
	if _, _, foreign := b.platform(); len(t.Early) > 0 && !foreign {
		// The go command compiles in the order of its arguments, but go build -o only main packages
		// and what they import. go install cannot install a binary of another platform.
		args = append([]string{"install", "-v"}, b.args(t, t.Early...)...)
	}
	if err := b.run(ctx, t, p, nil, out, next, args...); err != nil {
		return err
	}
	built, err := filepath.Glob(filepath.Join(next, "*"))
	if err != nil || len(built) != 1 {
		return fmt.Errorf("%s has %d binaries, want 1", t.Package, len(built))
	}
	// In this order: the sum of other sources must never be beside the binary.
	if err := os.Remove(b.sum(t)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(built[0], b.Path(t)); err != nil {
		return err
	}
	return os.WriteFile(b.sum(t), []byte(sum), 0o644)
}

// Flags are those of every build. Stripped: half the size on disk; stack traces keep their names
// and lines. So the compiler need not write what is stripped, which is a seventh of its time.
// Without local paths, builds are reproducible on any machine. The Makefile has the same compiler
// flags, so that both share the build cache.
var Flags = []string{"-trimpath", "-gcflags=all=-dwarf=false", "-ldflags=-s -w"}

// env is the environment of every build. Without cgo a binary needs no system library, so
// it runs in an empty container image.
var env = []string{"GOWORK=off", "CGO_ENABLED=0"}

// temp returns the go command's work folder: it does not clean up when it is
// interrupted.
func (b *Builder) temp(t Target) string { return filepath.Join(b.dir(), "."+t.Name+".tmp") }

func (b *Builder) sum(t Target) string { return b.Path(t) + ".sum" }

func (b *Builder) clean(t Target) { os.RemoveAll(b.temp(t)) }

// counter counts the lines that are import paths.
type counter struct {
	n     *atomic.Int64
	other bool // the current line is none
}

func (c *counter) Write(b []byte) (int, error) {
	for _, ch := range b {
		switch ch {
		case '\n':
			if !c.other {
				c.n.Add(1)
			}
			c.other = false
		case ' ', '\t', '#':
			c.other = true
		}
	}
	return len(b), nil
}

// run runs a go command in t's module, in a process group that ends with ctx. Bin is where go install puts binaries.
func (b *Builder) run(ctx context.Context, t Target, p *Progress, stdout, stderr io.Writer, bin string, args ...string) error {
	command := append([]string{"go"}, args...)
	if _, err := exec.LookPath("nice"); p.Beside && err == nil {
		// nice is for all threads, which setpriority, after the start, would miss: the go command has
		// threads by then.
		command = append([]string{"nice", "-n", "19"}, command...)
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = filepath.Join(b.Root, t.Module)
	goos, goarch, _ := b.platform()
	tmp, err := filepath.Abs(b.temp(t)) // the go command runs in another folder
	if err != nil {
		return err
	}
	if _, err := os.Stat(tmp); err != nil {
		tmp = "" // go list needs none
	}
	cmd.Env = append(append(os.Environ(), env...), "GOOS="+goos, "GOARCH="+goarch, "GOTMPDIR="+tmp, "GOBIN="+bin)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = proc.Group()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	if p.Runs != nil {
		if id, err := proc.Identify(cmd.Process.Pid); err == nil {
			p.Runs(id)
		}
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		awaitGroup(cmd.Process.Pid)
	}
	return err
}

// awaitGroup waits for the processes of a group whose leader has exited; they got the signal too.
// The group's ID is not reused while one of its processes exists.
func awaitGroup(leader int) {
	for deadline := time.Now().Add(2 * time.Second); syscall.Kill(-leader, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			syscall.Kill(-leader, syscall.SIGKILL)
			return
		}
	}
}

// fingerprint returns a hash of all inputs of t's build.
func (b *Builder) fingerprint(t Target) (string, error) {
	h := sha256.New()
	goos, goarch, _ := b.platform()
	fmt.Fprintln(h, runtime.Version(), goos, goarch, t.Package, t.Tags, Flags, env)
	for _, name := range []string{"GOFLAGS", "GOEXPERIMENT", "GOAMD64", "GOARM64"} {
		fmt.Fprintln(h, name, os.Getenv(name))
	}
	module := filepath.Join(b.Root, t.Module)
	files := []string{filepath.Join(module, "go.mod"), filepath.Join(module, "go.sum")}
	for _, dir := range t.Sources {
		err := filepath.WalkDir(filepath.Join(module, dir), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return fs.SkipDir
			case d.Type().IsRegular() && !strings.HasSuffix(path, "_test.go"):
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d %x\n", strings.TrimPrefix(path, module), len(content), sha256.Sum256(content))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Lock locks the file at path, and waits while another process holds the lock.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	for {
		f, err := proc.TryLock(path, os.O_CREATE|os.O_RDWR, syscall.LOCK_EX)
		if !errors.Is(err, proc.ErrLocked) {
			return func() { f.Close() }, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
