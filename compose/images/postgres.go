package images

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"soundcheck/lab/proc"
)

const postgresRef = "soundcheck/postgres:local"

// postgresFiles copies the sources of PostgreSQL's image to a folder, and returns their sum.
func (b *Builder) postgresFiles(dir string) (sum string, err error) {
	inputs := sha256.New()
	fmt.Fprintln(inputs, b.Binaries.Platform)
	for _, name := range []string{"build.sh", "entrypoint.sh", "Dockerfile"} {
		text, err := os.ReadFile(filepath.Join(b.Binaries.Root, "compose/postgres", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o755)
		}
		if err != nil {
			return "", err
		}
		fmt.Fprintf(inputs, "%d %s", len(text), text)
	}
	return hex.EncodeToString(inputs.Sum(nil)), nil
}

// postgresImage builds the image of PostgreSQL with Docker in a folder, unless there is an
// up-to-date one: it takes minutes, root and a Debian mirror.
func (b *Builder) postgresImage(ctx context.Context, dir string) error {
	sum, err := b.postgresFiles(dir)
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "docker", "image", "inspect", "--format", `{{index .Config.Labels "soundcheck.inputs"}}`, postgresRef).Output()
	if err == nil && strings.TrimSpace(string(out)) == sum {
		return nil
	}
	version, err := b.postgresRoot(ctx, dir)
	if err != nil {
		return err
	}
	return b.run("build PostgreSQL's image", exec.CommandContext(ctx, "docker", "build", "--tag", postgresRef,
		"--build-arg", "INPUTS="+sum, "--build-arg", "VERSION="+version, dir))
}

// postgresRoot makes the root of the image, root.tar in the folder, unless it is up to date. It
// returns PostgreSQL's version.
func (b *Builder) postgresRoot(ctx context.Context, dir string) (version string, err error) {
	tar, have := findPostgresRoot(dir)
	script := filepath.Join(b.Binaries.Root, "compose/postgres/build.sh")
	m := machine{platform: runtime.GOOS + "/" + runtime.GOARCH, root: os.Getuid() == 0}
	_, err = exec.LookPath("debootstrap")
	_, err2 := os.Stat("/usr/sbin/debootstrap") // often not in PATH
	m.debootstrap = err == nil || err2 == nil
	if err := m.can(b.Binaries.Platform, have, script+" "+tar, cmp.Or(b.Alternatives, alternatives)); err != nil {
		return "", err
	}
	if !have {
		if err := b.run("collect Debian packages for PostgreSQL", exec.CommandContext(ctx, "sh", script, tar)); err != nil {
			return "", err
		}
	}
	text, err := os.ReadFile(tar + ".version")
	return strings.TrimSpace(string(text)), err
}

// findPostgresRoot returns the path of the image's root, and whether it is up to date: it
// depends only on the script, which writes its own sum beside it.
func findPostgresRoot(dir string) (tar string, have bool) {
	tar = filepath.Join(dir, "root.tar")
	script, err := os.ReadFile(filepath.Join(dir, "build.sh"))
	mark, err2 := os.ReadFile(tar + ".sum")
	sum := sha256.Sum256(script)
	return tar, err == nil && err2 == nil && strings.TrimSpace(string(mark)) == hex.EncodeToString(sum[:])
}

// run runs a command, in a process group that ends with its context. Its output is in a log.
func (b *Builder) run(doing string, cmd *exec.Cmd) error {
	log, err := os.Create(filepath.Join(b.Dir, "postgres.log")) // outside the build context
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = proc.Group()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := b.await(cmd.Run, func() string { return doing }); err != nil {
		return fmt.Errorf("%s: %w; see %s", doing, err, log.Name())
	}
	return nil
}

const alternatives = "use official images (IMAGES=official), an external store (-limited), or the native lab (make lab-up)"

// machine describes the capabilities of this machine.
type machine struct {
	platform          string
	root, debootstrap bool
}

// can returns an error if PostgreSQL's image cannot be built for an engine. Without an
// up-to-date root, the script with these arguments builds one. That needs a Debian mirror,
// root and debootstrap, which only Linux has.
func (m machine) can(engine string, haveRoot bool, script, alternatives string) error {
	switch {
	case !strings.HasPrefix(m.platform, "linux/"):
		return errors.New("-images local builds PostgreSQL's image with debootstrap, which needs Linux: " + alternatives)
	case engine != m.platform:
		return fmt.Errorf("-images local builds PostgreSQL's image with debootstrap, on the engine's platform %s, but this machine is %s: %s", engine, m.platform, alternatives)
	case haveRoot:
		return nil
	case !m.debootstrap:
		return errors.New("-images local builds PostgreSQL's image with debootstrap: install it (Debian, Ubuntu: sudo apt-get install debootstrap), or " + alternatives)
	case !m.root:
		return errors.New("-images local builds PostgreSQL's image with debootstrap, which needs root, once: sudo sh " + script + "; or " + alternatives)
	}
	return nil
}
