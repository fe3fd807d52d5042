// Package images builds the images of a Compose lab on this machine, without a registry:
// our own programs, the Collector, Jaeger and Prometheus from the same files that the
// native lab starts, PostgreSQL from Debian packages. An image that is up to date is not
// built again.
package images

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/lab/build"
	"soundcheck/lab/plan"
	"soundcheck/lab/proc"
)

// Builder builds images.
type Builder struct {
	Programs *build.Builder // its platform is the engine's
	Dir      string         // of its own: logs, and the root of PostgreSQL's image
	Version  string         // of our sources, for the labels; as git describe says it
	Revision string         // their commit
	Progress *cli.Progress
}

// image is one that holds a program of the native lab, or labtool.
type image struct {
	title  string
	source string // of somebody else's program
	module string // of somebody else's program: its version is the image's
	target build.Target
}

// programs returns the images that hold a program.
func programs(root string) map[string]image {
	list := map[string]image{
		"labtool": {title: "Tools of the Soundcheck lab's containers",
			target: build.Target{Name: "labtool", Module: ".", Package: "./compose/labtool", Sources: []string{"compose/labtool", "internal/cli"}}},
		"album-store":    {title: "Soundcheck album store"},
		"proxy-service":  {title: "Soundcheck proxy service"},
		"console":        {title: "Soundcheck console"},
		"otel-collector": {title: "OpenTelemetry Collector of the Soundcheck lab", source: "https://github.com/open-telemetry/opentelemetry-collector"},
		"jaeger":         {title: "Jaeger for the Soundcheck lab", module: "github.com/jaegertracing/jaeger", source: "https://github.com/jaegertracing/jaeger"},
		"prometheus":     {title: "Prometheus for the Soundcheck lab", module: "github.com/prometheus/prometheus", source: "https://github.com/prometheus/prometheus"},
	}
	for _, p := range (plan.Lab{Root: root}).Programs() {
		im := list[p.Name]
		im.target, im.module = p.Target, cmp.Or(p.Version, im.module)
		list[p.Name] = im
	}
	return list
}

// ref returns the name of an image that is built here.
func ref(name string) string { return "soundcheck/" + name + ":local" }

// Build builds the images of these names that are not up to date.
func (b *Builder) Build(ctx context.Context, names []string) error {
	if err := os.MkdirAll(b.Dir, 0o755); err != nil {
		return err
	}
	// Labs that start at once take turns, and find what the first one has built.
	unlock, err := build.Lock(ctx, filepath.Join(b.Dir, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	defer b.Progress.Clear()
	if slices.Contains(names, "postgres") { // fails at once, and not after minutes of building
		if err := b.canPostgres(ctx); err != nil {
			return err
		}
	}
	for _, name := range names {
		im, ok := programs(b.Programs.Root)[name]
		switch {
		case name == "postgres":
			err = b.postgres(ctx)
		case ok:
			err = b.program(ctx, name, im)
		default:
			err = fmt.Errorf("nobody knows how to build the image %s", name)
		}
		if err != nil {
			return cmp.Or(ctx.Err(), err)
		}
	}
	return nil
}

// program builds a program and its image.
func (b *Builder) program(ctx context.Context, name string, im image) error {
	if err := b.compile(ctx, im.target); err != nil {
		return err
	}
	dockerfile := filepath.Join(b.Programs.Root, "compose/Dockerfile")
	sum, err := sumFiles(b.Programs.Sum(im.target), dockerfile)
	if err != nil || b.fresh(ctx, name, sum) {
		return err
	}
	program := b.Programs.Path(im.target)
	version, revision := build.Version(program, im.module), ""
	if im.module == "" {
		// Programs that were built without git's help call themselves devel.
		version, revision = cmp.Or(b.Version, version), b.Revision
	}
	return b.docker(ctx, name, sum, map[string]string{"Dockerfile": dockerfile, "program": program}, "--target", "packaged", "--build-arg", "FILE=program",
		"--build-arg", "TITLE="+im.title, "--build-arg", "VERSION="+version, "--build-arg", "REVISION="+revision, "--build-arg", "SOURCE="+im.source)
}

// compile builds a program, and shows the progress.
func (b *Builder) compile(ctx context.Context, t build.Target) error {
	if b.Programs.Fresh(t) {
		return nil
	}
	var p build.Progress
	b.Progress.Line(fmt.Sprintf("%-15s building the program", t.Name))
	err := b.await(func() error { return b.Programs.Build(ctx, t, &p) }, func() string {
		if total := p.Total.Load(); total > 0 {
			return fmt.Sprintf("building %s: %d of up to %d packages", t.Name, p.Done.Load(), total)
		}
		return fmt.Sprintf("building %s: getting its modules", t.Name)
	})
	if err != nil {
		return fmt.Errorf("%w; see %s", err, b.Programs.Log(t))
	}
	return nil
}

// await does something, and shows meanwhile how far it is and how long it takes.
func (b *Builder) await(do func() error, progress func() string) error {
	ended := make(chan error, 1)
	go func() { ended <- do() }()
	for begun := time.Now(); ; {
		select {
		case err := <-ended:
			return err
		case <-time.After(200 * time.Millisecond):
			b.Progress.Show(fmt.Sprintf("%s, %.0f s", progress(), time.Since(begun).Seconds()))
		}
	}
}

// fresh reports whether the image was made of what has this sum.
func (b *Builder) fresh(ctx context.Context, name, sum string) bool {
	out, err := exec.CommandContext(ctx, "docker", "image", "inspect", "--format", `{{index .Config.Labels "soundcheck.inputs"}}`, ref(name)).Output()
	return err == nil && strings.TrimSpace(string(out)) == sum
}

// docker builds an image from files under the names that the Dockerfile gives them. Docker's
// output is in a log.
func (b *Builder) docker(ctx context.Context, name, sum string, files map[string]string, args ...string) error {
	begun := time.Now()
	args = append([]string{"build", "--tag", ref(name), "--build-arg", "INPUTS=" + sum}, args...)
	cmd := exec.CommandContext(ctx, "docker", append(args, "-")...)
	r, w := io.Pipe()
	defer r.Close()
	go func() { w.CloseWithError(send(w, files)) }()
	cmd.Stdin = r
	if err := b.run(name, "building the image", cmd); err != nil {
		return err
	}
	b.Progress.Line(fmt.Sprintf("%-15s image    %5.1f s  %s", name, time.Since(begun).Seconds(), ref(name)))
	return nil
}

// send writes the archive that the engine builds from.
func send(w io.Writer, files map[string]string) error {
	archive := tar.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := os.Open(files[name])
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err == nil {
			err = archive.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: info.Size()})
		}
		if err == nil {
			_, err = io.Copy(archive, f)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return archive.Close()
}

// run runs a command of the image's build, in a process group that ends with its context.
func (b *Builder) run(name, doing string, cmd *exec.Cmd) error {
	path := filepath.Join(b.Dir, name+".log")
	log, err := os.Create(path)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = proc.Group()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := b.await(cmd.Run, func() string { return name + ": " + doing }); err != nil {
		return fmt.Errorf("image %s: %s: %w; see %s", ref(name), doing, err, path)
	}
	return nil
}

// sumFiles sums up a text and files.
func sumFiles(text string, paths ...string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, text)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d %x\n", filepath.Base(path), len(content), sha256.Sum256(content))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
