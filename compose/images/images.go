// Package images builds the images of a Compose lab on this machine, without a registry:
// our own programs, the Collector, Jaeger and Prometheus from the same files that the
// native lab starts, PostgreSQL from Debian packages. An image that is made of what is
// there now is left as it is.
package images

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
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
	Dir      string         // of its own: staging folders and logs
	Version  string         // of our sources, for the labels; as git describe says it
	Revision string         // their commit
	Progress *cli.Progress
}

// image is one that holds a program.
type image struct {
	name    string
	target  build.Target
	module  string // whose version is the image's; empty: ours
	title   string
	source  string
	license string
}

const apache = "Apache-2.0"

// packaged returns the images that hold a program of the native lab, or labtool.
func packaged(root string) []image {
	list := []image{
		{name: "labtool", title: "Tools of the Soundcheck lab's containers", license: apache,
			target: build.Target{Name: "labtool", Module: ".", Package: "./compose/labtool", Sources: []string{"compose/labtool", "internal/cli"}}},
		{name: "album-store", title: "Soundcheck album store", license: apache},
		{name: "proxy-service", title: "Soundcheck proxy service", license: apache},
		{name: "console", title: "Soundcheck console", license: apache},
		{name: "otel-collector", title: "OpenTelemetry Collector of the Soundcheck lab", license: apache,
			source: "https://github.com/open-telemetry/opentelemetry-collector"},
		{name: "jaeger", title: "Jaeger for the Soundcheck lab", module: "github.com/jaegertracing/jaeger", license: apache,
			source: "https://github.com/jaegertracing/jaeger"},
		{name: "prometheus", title: "Prometheus for the Soundcheck lab", module: "github.com/prometheus/prometheus", license: apache,
			source: "https://github.com/prometheus/prometheus"},
	}
	for _, p := range (plan.Lab{Root: root}).Programs() {
		for i := range list {
			if list[i].name == p.Name {
				list[i].target = p.Target
				if p.Version != "" {
					list[i].module = p.Version
				}
			}
		}
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
	known := map[string]image{}
	for _, im := range packaged(b.Programs.Root) {
		known[im.name] = im
	}
	if slices.Contains(names, "postgres") { // said at once, and not after minutes of building
		if err := b.canPostgres(ctx); err != nil {
			return err
		}
	}
	for _, name := range names {
		im, ok := known[name]
		switch {
		case name == "postgres":
			err = b.postgres(ctx)
		case ok:
			err = b.program(ctx, im)
		default:
			err = fmt.Errorf("nobody knows how to build the image %s", name)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// program builds the image of a program, and the program.
func (b *Builder) program(ctx context.Context, im image) error {
	if err := b.compile(ctx, im.target); err != nil {
		return err
	}
	dockerfile := filepath.Join(b.Programs.Root, "compose/Dockerfile")
	sum, err := sumFiles(b.Programs.Sum(im.target), dockerfile)
	if err != nil {
		return err
	}
	if b.fresh(ctx, im.name, sum) {
		return nil
	}
	program := b.Programs.Path(im.target)
	stage, err := b.stage(im.name, map[string]string{"program": program})
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	version, revision := build.Version(program, im.module), ""
	if im.module == "" {
		// Programs that were built without git's help call themselves devel.
		version, revision = cmp.Or(b.Version, version), b.Revision
	}
	return b.docker(ctx, im.name, "build", "--file", dockerfile, "--target", "packaged", "--build-arg", "FILE=program", "--tag", ref(im.name),
		"--build-arg", "TITLE="+im.title, "--build-arg", "VERSION="+version, "--build-arg", "REVISION="+revision,
		"--build-arg", "SOURCE="+im.source, "--build-arg", "LICENSES="+im.license, "--build-arg", "INPUTS="+sum, stage)
}

// compile builds a program, and shows how far it is.
func (b *Builder) compile(ctx context.Context, t build.Target) error {
	if b.Programs.Fresh(t) {
		return nil
	}
	p := &build.Progress{Begun: time.Now()}
	ended := make(chan error, 1)
	go func() { ended <- b.Programs.Build(ctx, t, p) }()
	b.Progress.Line(fmt.Sprintf("%-15s building the program", t.Name))
	err := b.await(ended, func() string {
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

// await returns what ended is told, and shows meanwhile how far it is and how long it takes.
func (b *Builder) await(ended <-chan error, how func() string) error {
	for begun := time.Now(); ; {
		select {
		case err := <-ended:
			return err
		case <-time.After(200 * time.Millisecond):
			b.Progress.Show(fmt.Sprintf("%s, %.0f s", how(), time.Since(begun).Seconds()))
		}
	}
}

// fresh reports whether the image was made of what sum sums up.
func (b *Builder) fresh(ctx context.Context, name, sum string) bool {
	out, err := exec.CommandContext(ctx, "docker", "image", "inspect", "--format", `{{index .Config.Labels "soundcheck.inputs"}}`, ref(name)).Output()
	return err == nil && strings.TrimSpace(string(out)) == sum
}

// docker runs a docker command that builds an image. What it says is in a log.
func (b *Builder) docker(ctx context.Context, name string, args ...string) error {
	begun := time.Now()
	if err := b.run(ctx, name, "building the image", exec.CommandContext(ctx, "docker", args...), nil); err != nil {
		return err
	}
	b.Progress.Line(fmt.Sprintf("%-15s image    %5.1f s  %s", name, time.Since(begun).Seconds(), ref(name)))
	return nil
}

// run runs a command of the image's build, in a process group that ends with ctx. Lines, if
// not nil, is told what the command says.
func (b *Builder) run(ctx context.Context, name, doing string, cmd *exec.Cmd, lines func(string)) error {
	path := filepath.Join(b.Dir, name+".log")
	log, err := os.Create(path)
	if err != nil {
		return err
	}
	defer log.Close()
	var out io.Writer = log
	if lines != nil {
		out = io.MultiWriter(log, &splitter{line: lines})
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = proc.Group()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	ended := make(chan error, 1)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("image %s: %w", ref(name), err)
	}
	go func() { ended <- cmd.Wait() }()
	if err := b.await(ended, func() string { return name + ": " + doing }); err != nil {
		return fmt.Errorf("image %s: %s: %w; see %s", ref(name), doing, err, path)
	}
	return nil
}

// splitter tells lines.
type splitter struct {
	line func(string)
	rest string
}

func (s *splitter) Write(b []byte) (int, error) {
	lines := strings.Split(s.rest+string(b), "\n")
	for _, l := range lines[:len(lines)-1] {
		s.line(l)
	}
	s.rest = lines[len(lines)-1]
	return len(b), nil
}

// sumFiles sums up a text and files. A file that is not there is an error.
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

// stage makes the folder that the engine is sent, with files under the names that the
// Dockerfile gives them.
func (b *Builder) stage(name string, files map[string]string) (string, error) {
	stage := filepath.Join(b.Dir, name)
	if err := os.RemoveAll(stage); err != nil {
		return "", err
	}
	if err := os.Mkdir(stage, 0o755); err != nil {
		return "", err
	}
	for to, from := range files {
		to = filepath.Join(stage, to)
		if err := os.Link(from, to); err != nil { // on another file system, say
			if err := copyFile(from, to); err != nil {
				return "", err
			}
		}
	}
	return stage, nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
