package project

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"soundcheck/lab/build"
)

// The files of the secrets.
const (
	passwordFile = "postgres-password"
	pgpassFile   = "pgpass" // for the store: host:port:database:user:password
)

// MakeSecrets makes a password at random, once: the database keeps the one that it was
// made with. The folder is for its owner alone; the files in it are bound into
// containers, whose users are others. Labs that start at once take turns, and have the same.
func (p *Project) MakeSecrets(ctx context.Context) error {
	dir := p.Secrets()
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	unlock, err := build.Lock(ctx, dir+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, passwordFile)
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	password := strings.TrimRight(string(b), "\r\n")
	if err == nil && password == "" {
		return fmt.Errorf("%s is empty: write the database's password into it, or remove it", path)
	}
	if err != nil {
		password = rand.Text()
		if err := writeSecret(path, password); err != nil {
			return err
		}
	}
	// Anew, so that it always is the same password. A backslash hides what has a meaning.
	escaped := strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(password)
	pgpass := "*:*:albums:albums:" + escaped + "\n"
	path = filepath.Join(dir, pgpassFile)
	if b, err := os.ReadFile(path); err == nil && string(b) == pgpass {
		return nil // a new file would not be seen in the containers that run
	}
	return writeSecret(path, pgpass)
}

func writeSecret(path, text string) error {
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(next, []byte(text), 0o444); err != nil {
		return err
	}
	if err := os.Chmod(next, 0o444); err != nil { // whatever the umask says
		return err
	}
	return os.Rename(next, path)
}
