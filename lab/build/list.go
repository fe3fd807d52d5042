package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// List downloads the modules that t is built from, and returns a key for each package that is to
// be compiled: packages with one key are compiled once for several binaries. The error names the
// binary; the output of the go command is in Log(t).
func (b *Builder) List(ctx context.Context, t Target, p *Progress) (keys []string, err error) {
	err = b.locked(ctx, t, func(log *os.File) error {
		log.Truncate(0)
		keys, err = b.list(ctx, t, p, log)
		return err
	})
	return keys, err
}

func (b *Builder) list(ctx context.Context, t Target, p *Progress, log io.Writer) ([]string, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return nil, fmt.Errorf("go command not found, install Go from https://go.dev/dl: %w", err)
	}
	var out bytes.Buffer
	args := append([]string{"list", "-deps", "-f", `{{.Stale}} {{.ImportPath}} {{with .Module}}{{.Version}}{{end}} {{join .Imports " "}}`}, b.args(t)...)
	if err := b.run(ctx, t, p, &out, log, "", args...); err != nil {
		return nil, fmt.Errorf("list its packages: %w", err)
	}
	return packageKeys(out.String()), nil
}

// packageKeys returns a key for each line STALE PATH VERSION IMPORT… of a stale package; imports come
// first. It has the keys of the imports in it: another version of one of them is another package
// to compile.
func packageKeys(list string) []string {
	var keys []string
	of := map[string]string{} // import path → key
	for line := range strings.Lines(list) {
		stale, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		path, imports, _ := strings.Cut(rest, " ")
		h := sha256.New()
		io.WriteString(h, path)
		for _, name := range strings.Split(imports, " ") {
			fmt.Fprintf(h, " %s %s", name, of[name])
		}
		of[path] = string(h.Sum(nil))
		if stale == "true" {
			keys = append(keys, of[path])
		}
	}
	return keys
}
