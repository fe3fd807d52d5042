package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// postgres builds the image of PostgreSQL, unless there is one. It takes a Debian mirror,
// root and debootstrap, which only Linux has.
func (b *Builder) postgres(ctx context.Context) error {
	const name = "postgres"
	source := filepath.Join(b.Programs.Root, "compose/postgres")
	script, entry, dockerfile := filepath.Join(source, "build.sh"), filepath.Join(source, "entrypoint.sh"), filepath.Join(source, "Dockerfile")
	platform := b.Programs.Platform
	root, err := sumFiles(platform, script)
	if err != nil {
		return err
	}
	sum, err := sumFiles(root, entry, dockerfile)
	if err != nil {
		return err
	}
	if b.fresh(ctx, name, sum) {
		return nil
	}
	// The root is kept: it is the same as long as the script is.
	tar, mark := filepath.Join(b.Dir, name+"-root.tar"), filepath.Join(b.Dir, name+"-root.sum")
	have, _ := os.ReadFile(mark)
	if _, err := os.Stat(tar); err != nil || string(have) != root {
		if err := canDebootstrap(platform, runtime.GOOS+"/"+runtime.GOARCH, os.Getuid()); err != nil {
			return err
		}
		if err := b.debootstrap(ctx); err != nil {
			return err
		}
		if err := b.run(ctx, name, "collecting Debian packages", exec.CommandContext(ctx, "sh", script, tar), b.said); err != nil {
			return err
		}
		if err := os.WriteFile(mark, []byte(root), 0o644); err != nil {
			return err
		}
	}
	version, err := os.ReadFile(tar + ".version")
	if err != nil {
		return err
	}
	stage, err := b.stage(name, map[string]string{"root.tar": tar, "entrypoint.sh": entry, "Dockerfile": dockerfile})
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	return b.docker(ctx, name, "build", "--tag", ref(name), "--build-arg", "INPUTS="+sum,
		"--build-arg", "VERSION="+strings.TrimSpace(string(version)), stage)
}

// said shows the steps that build.sh tells of.
func (b *Builder) said(line string) {
	if step, ok := strings.CutPrefix(line, "postgres image: "); ok {
		b.Progress.Line(fmt.Sprintf("%-15s %s", "postgres", step))
	}
}

const elsewhere = "use the official images (IMAGES=official), a lab whose store runs outside (-limited), or the native lab (make lab-up)"

// canDebootstrap says whether a user of a machine can make the image for an engine.
func canDebootstrap(engine, machine string, uid int) error {
	switch {
	case !strings.HasPrefix(machine, "linux/"):
		return errors.New("-images local makes PostgreSQL's image with debootstrap, which needs Linux: " + elsewhere)
	case engine != machine:
		return fmt.Errorf("-images local makes PostgreSQL's image with debootstrap, on the engine's platform %s, but this machine is %s: %s", engine, machine, elsewhere)
	case uid != 0:
		return errors.New("-images local makes PostgreSQL's image with debootstrap, which needs root: use sudo, once; or " + elsewhere)
	}
	return nil
}

// debootstrap installs debootstrap if it is missing and can be had.
func (b *Builder) debootstrap(ctx context.Context) error {
	if _, err := exec.LookPath("debootstrap"); err == nil {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return errors.New("-images local makes PostgreSQL's image with debootstrap: install it first (such as: sudo dnf install debootstrap)")
	}
	b.Progress.Line(fmt.Sprintf("%-15s installing debootstrap", "postgres"))
	install := exec.CommandContext(ctx, "sh", "-c", "apt-get update -q && apt-get install -qy --no-install-recommends debootstrap")
	install.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	return b.run(ctx, "debootstrap", "installing it", install, nil)
}
