package images

import (
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
)

// The files that PostgreSQL's image is made from, in compose/postgres: the first makes its root.
var postgresFiles = []string{"build.sh", "entrypoint.sh", "Dockerfile"}

func (b *Builder) postgresFile(name string) string {
	return filepath.Join(b.Programs.Root, "compose/postgres", name)
}

func (b *Builder) postgresSum() (string, error) {
	var paths []string
	for _, name := range postgresFiles {
		paths = append(paths, b.postgresFile(name))
	}
	return sumFiles(b.Programs.Platform, paths...)
}

// postgresRoot returns where the root of PostgreSQL's image is, and whether it is there: it
// is the same as long as the script is, which leaves its own sum beside it.
func (b *Builder) postgresRoot() (tar string, have bool) {
	tar = filepath.Join(b.Dir, "postgres-root.tar")
	script, err := os.ReadFile(b.postgresFile("build.sh"))
	mark, err2 := os.ReadFile(tar + ".sum")
	_, err3 := os.Stat(tar)
	sum := sha256.Sum256(script)
	return tar, err == nil && err2 == nil && err3 == nil && strings.TrimSpace(string(mark)) == hex.EncodeToString(sum[:])
}

// canPostgres returns an error that says what to do if PostgreSQL's image is neither there
// nor can be made.
func (b *Builder) canPostgres(ctx context.Context) error {
	sum, err := b.postgresSum()
	if err != nil || b.fresh(ctx, "postgres", sum) {
		return err
	}
	tar, have := b.postgresRoot()
	m := machine{platform: runtime.GOOS + "/" + runtime.GOARCH, root: os.Getuid() == 0}
	_, err = exec.LookPath("debootstrap")
	_, err2 := os.Stat("/usr/sbin/debootstrap") // which is not in everybody's PATH
	m.debootstrap = err == nil || err2 == nil
	return m.can(b.Programs.Platform, have, b.postgresFile("build.sh")+" "+tar)
}

// postgres builds the image of PostgreSQL, unless it is up to date.
func (b *Builder) postgres(ctx context.Context) error {
	sum, err := b.postgresSum()
	if err != nil || b.fresh(ctx, "postgres", sum) {
		return err
	}
	tar, have := b.postgresRoot()
	if !have {
		if err := b.run("postgres", "collecting Debian packages", exec.CommandContext(ctx, "sh", b.postgresFile("build.sh"), tar)); err != nil {
			return err
		}
	}
	version, err := os.ReadFile(tar + ".version")
	if err != nil {
		return err
	}
	files := map[string]string{"root.tar": tar, "entrypoint.sh": b.postgresFile("entrypoint.sh"), "Dockerfile": b.postgresFile("Dockerfile")}
	return b.docker(ctx, "postgres", sum, files, "--build-arg", "VERSION="+strings.TrimSpace(string(version)))
}

const elsewhere = "use the official images (IMAGES=official), a lab whose store runs outside (-limited), or the native lab (make lab-up)"

// machine is what this one can do.
type machine struct {
	platform          string
	root, debootstrap bool
}

// can says whether PostgreSQL's image can be made for an engine. Its root may be there; or
// else the script with these arguments makes it, which takes a Debian mirror, root and
// debootstrap, which only Linux has.
func (m machine) can(engine string, haveRoot bool, script string) error {
	switch {
	case !strings.HasPrefix(m.platform, "linux/"):
		return errors.New("-images local makes PostgreSQL's image with debootstrap, which needs Linux: " + elsewhere)
	case engine != m.platform:
		return fmt.Errorf("-images local makes PostgreSQL's image with debootstrap, on the engine's platform %s, but this machine is %s: %s", engine, m.platform, elsewhere)
	case haveRoot:
		return nil
	case !m.debootstrap:
		return errors.New("-images local makes PostgreSQL's image with debootstrap: install it first (Debian, Ubuntu: sudo apt-get install debootstrap); or " + elsewhere)
	case !m.root:
		return errors.New("-images local makes PostgreSQL's image with debootstrap, which needs root, once: sudo sh " + script + "; or " + elsewhere)
	}
	return nil
}
