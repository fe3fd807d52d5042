// Package build makes the lab's programs from Go modules, once: a program whose
// sources, module versions and toolchain are those of the last time is left as
// it is, without a call of the go command.
package build

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Target is a program to build.
type Target struct {
	Name    string   // of the program file
	Module  string   // folder of its module, below the root
	Package string   // import path or ./folder
	Tags    string   // build tags
	Sources []string // folders below Module whose files it is made from; none: only go.mod and go.sum
}

// Progress is how far a build is. It may be read while the build runs.
type Progress struct {
	Begun       time.Time
	Done, Total atomic.Int64 // packages; Total is 0 until it is known
}

// Builder builds into the folder Bin.
type Builder struct {
	Root string // of the repository
	Bin  string
	Logs string // receives build-NAME.log
}

// Path returns where the program of t is.
func (b *Builder) Path(t Target) string { return filepath.Join(b.Bin, t.Name) }

// Log returns where the output of t's build is.
func (b *Builder) Log(t Target) string { return filepath.Join(b.Logs, "build-"+t.Name+".log") }

// Fresh reports whether t is built from what is there now.
func (b *Builder) Fresh(t Target) bool {
	if _, err := os.Stat(b.Path(t)); err != nil {
		return false
	}
	want, err := b.fingerprint(t)
	have, _ := os.ReadFile(b.Path(t) + ".sum")
	return err == nil && string(have) == want
}

// Build builds t if it is not fresh. Builds of several labs in one repository
// take turns. The error names the program; its output is in Log(t).
func (b *Builder) Build(ctx context.Context, t Target, p *Progress) (err error) {
	if err := os.MkdirAll(b.Bin, 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(b.Bin, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if b.Fresh(t) {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("build %s: %w", t.Name, err)
		}
	}()
	sum, err := b.fingerprint(t)
	if err != nil {
		return err
	}
	log, err := os.Create(b.Log(t))
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"-tags=" + t.Tags, t.Package}
	list, err := b.command(ctx, t, append([]string{"list", "-deps"}, args...)...)
	if err != nil {
		return err
	}
	list.Stderr = log
	deps, err := list.Output()
	if err != nil {
		return fmt.Errorf("list its packages: %w", err)
	}
	p.Total.Store(int64(bytes.Count(deps, []byte("\n"))))
	next := b.Path(t) + ".new"
	// Stripped: half the size on disk; stack traces keep their names and lines.
	cmd, err := b.command(ctx, t, append([]string{"build", "-v", "-ldflags=-s -w", "-o", next}, args...)...)
	if err != nil {
		return err
	}
	out, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	// -v writes one line for each package that is compiled.
	for lines := bufio.NewScanner(io.TeeReader(out, log)); lines.Scan(); {
		if !strings.ContainsAny(lines.Text(), " \t#") {
			p.Done.Add(1)
		}
	}
	if err := cmd.Wait(); err != nil {
		return err
	}
	if err := os.Rename(next, b.Path(t)); err != nil {
		return err
	}
	return os.WriteFile(b.Path(t)+".sum", []byte(sum), 0o644)
}

// command returns a go command in t's module, in a process group that ends with ctx.
func (b *Builder) command(ctx context.Context, t Target, args ...string) (*exec.Cmd, error) {
	path, err := exec.LookPath("go")
	if err != nil {
		return nil, fmt.Errorf("the go command is needed to build it: install Go from https://go.dev/dl: %w", err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = filepath.Join(b.Root, t.Module)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	return cmd, nil
}

// fingerprint sums up all that t is made from.
func (b *Builder) fingerprint(t Target) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH, t.Package, t.Tags)
	for _, name := range []string{"GOFLAGS", "CGO_ENABLED", "GOEXPERIMENT"} {
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

// lock takes the lock file at path, and waits for it if another has it.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if err != syscall.EWOULDBLOCK && err != syscall.EINTR {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
