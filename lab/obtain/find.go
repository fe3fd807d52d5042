package obtain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"soundcheck/lab/build"
	"soundcheck/lab/proc"
)

// VersionTimeout limits the call that prints a version. The first one of a large binary
// reads it from disk. Tests lengthen it.
var VersionTimeout = 10 * time.Second

// busyRetries limits the retries, one every 20 ms, of a call whose binary is busy. Tests change it.
var busyRetries = 250

// Find returns the program that the environment variable names, or else the first one on
// PATH. Its Path is empty if there is none, and reason then says why the one on PATH does not
// fit; it is empty if there is none on PATH. A variable that is set but cannot be followed is
// an error. Programs in the folder own, where the lab puts its binaries, are skipped on PATH.
func (p *Program) Find(ctx context.Context, getenv func(string) string, own string) (f Found, reason string, err error) {
	if path := getenv(p.Variable()); path != "" {
		f, err := p.named(ctx, path)
		if err != nil {
			return Found{}, "", fmt.Errorf("%s=%s: %w", p.Variable(), path, err)
		}
		return f, "", nil
	}
	path := p.onPath(getenv("PATH"), own)
	if path == "" {
		return Found{}, "", nil
	}
	f, err = p.inspect(ctx, path)
	if ctx.Err() != nil {
		return Found{}, "", context.Cause(ctx)
	}
	if err != nil {
		return Found{}, fmt.Sprintf("%s on PATH does not fit: %s", path, err), nil
	}
	f.Origin = "PATH"
	return f, "", nil
}

// Again inspects a program that was found before: it can have been updated since.
func (p *Program) Again(ctx context.Context, f Found) (Found, error) {
	again, err := p.inspect(ctx, f.Path)
	if err != nil {
		return Found{}, fmt.Errorf("%s: %w", f.Path, err)
	}
	again.Origin = f.Origin
	return again, nil
}

// named inspects the program that the environment variable names.
func (p *Program) named(ctx context.Context, path string) (Found, error) {
	// The lab runs in the background, in another folder.
	if !filepath.IsAbs(path) {
		return Found{}, errors.New("not an absolute path")
	}
	info, err := os.Stat(path)
	var cause *fs.PathError
	switch {
	case errors.As(err, &cause):
		return Found{}, cause.Err
	case err != nil:
		return Found{}, err
	case info.IsDir():
		return Found{}, errors.New("is a folder, not a program")
	case !executable(info):
		return Found{}, errors.New("not executable")
	}
	f, err := p.inspect(ctx, path)
	f.Origin = p.Variable()
	return f, err
}

// onPath returns the first program of this name in an absolute folder of the list, other
// than those in own; "" if there is none.
func (p *Program) onPath(list, own string) string {
	if real, err := filepath.EvalSymlinks(own); err == nil {
		own = real
	}
	for _, dir := range filepath.SplitList(list) {
		path := filepath.Join(dir, p.Name)
		if !filepath.IsAbs(path) {
			continue
		}
		info, err := os.Stat(path)
		if err != nil || !executable(info) {
			continue
		}
		real, err := filepath.EvalSymlinks(path)
		if err != nil || own != "" && strings.HasPrefix(real, own+string(filepath.Separator)) {
			continue
		}
		return path
	}
	return ""
}

func executable(info fs.FileInfo) bool {
	return info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// inspect returns the program at path, or an error if it is another one or its version does
// not fit.
func (p *Program) inspect(ctx context.Context, path string) (Found, error) {
	f := Found{Name: p.Name, Path: path}
	if p.folder {
		if err := f.findHome(p.file); err != nil {
			return Found{}, err
		}
	}
	v, release, err := p.version(ctx, f.Path)
	if err == nil {
		err = p.fits(v)
	}
	if err != nil {
		return Found{}, err
	}
	f.Version, f.Release = v.String(), release
	return f, nil
}

// findHome sets Home: the folder of an archive, whose program is bin/grafana, or share/grafana
// as Linux packages, Homebrew and Nix install it. The command of a Linux package is a script
// that adds the system's configuration: Path becomes the program itself.
func (f *Found) findHome(file string) error {
	real, err := filepath.EvalSymlinks(f.Path)
	if err != nil {
		return err
	}
	dir := filepath.Dir(filepath.Dir(real))
	for _, home := range []string{dir, filepath.Join(dir, "share", "grafana")} {
		if _, err := os.Stat(filepath.Join(home, "conf", "defaults.ini")); err != nil {
			continue
		}
		f.Home = home
		program := filepath.Join(home, filepath.FromSlash(file))
		if info, err := os.Stat(program); err == nil && executable(info) {
			f.Path = program
		}
		return nil
	}
	return fmt.Errorf("no conf/defaults.ini in %s or in its share/grafana", dir)
}

// version returns the version that the program at path prints, or that of the Go module it
// was built from.
func (p *Program) version(ctx context.Context, path string) (v Version, release bool, err error) {
	var out head
	err = run(ctx, &out, path, p.args)
	// A binary that was just written is busy while a process that is being started elsewhere
	// in this one has inherited its file.
	for n := 0; n < busyRetries && errors.Is(err, syscall.ETXTBSY); n++ {
		time.Sleep(20 * time.Millisecond)
		err = run(ctx, &out, path, p.args)
	}
	switch {
	case ctx.Err() != nil:
		return v, false, context.Cause(ctx)
	case err != nil:
		return v, false, fmt.Errorf("%s %s: %w%s", filepath.Base(path), strings.Join(p.args, " "), unwrapped(err), out.last())
	}
	if m := p.prints.FindSubmatch(out.b); m != nil {
		if v, ok := parseVersion(string(m[1])); ok {
			return v, true, nil
		}
	}
	if p.module != "" {
		if v, ok := parseVersion(build.Version(path, p.module)); ok {
			return p.release(v), false, nil
		}
	}
	return v, false, fmt.Errorf("%s %s prints no version of %s%s", filepath.Base(path), strings.Join(p.args, " "), p.Name, out.last())
}

// run runs a program in a process group that ends with ctx, or after VersionTimeout.
func run(ctx context.Context, out io.Writer, path string, args []string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, VersionTimeout, fmt.Errorf("timeout after %s", VersionTimeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = "/"
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { // they can hold passwords
		return strings.HasPrefix(kv, "SOUNDCHECK_") || strings.HasPrefix(kv, "GF_")
	})
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = proc.Group()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) { // a process that it started still has the pipe
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// unwrapped returns err without the path that the message has already.
func unwrapped(err error) error {
	var cause *fs.PathError
	if errors.As(err, &cause) {
		return cause.Err
	}
	return err
}

// head keeps the first 64 KiB.
type head struct{ b []byte }

func (h *head) Write(b []byte) (int, error) {
	h.b = append(h.b, b[:min(len(b), 1<<16-len(h.b))]...)
	return len(b), nil
}

// last returns the last line, for an error message.
func (h *head) last() string {
	lines := bytes.Split(bytes.TrimSpace(h.b), []byte("\n"))
	line := lines[len(lines)-1]
	if len(line) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.120q)", line)
}
