package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// secret is a file that one user may read.
type secret struct {
	name     string
	uid, gid int
	format   string
}

// databaseSecrets are what the database and who calls it know. The users are those in
// compose.yaml.
var databaseSecrets = []secret{
	{"postgres-password", 999, 999, "%s"},
	{"pgpass", 65532, 65532, "*:*:albums:albums:%s\n"}, // host:port:database:user:password
}

// makeSecrets makes the folder database in dir, with a password at random, once: a
// database keeps the one that it was made with. Both files appear at once, or none does,
// as they are of no use without each other. The folders stay root's. So it can see whether
// the files are there; it could not read them again.
func makeSecrets(dir string, list []secret) (made bool, err error) {
	folder := filepath.Join(dir, "database")
	if _, err := os.Lstat(folder); err == nil {
		return false, complete(folder, list)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	next, err := os.MkdirTemp(dir, ".database*")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(next) // unless it has got its name
	password := rand.Text()
	for _, s := range list {
		if err := s.write(next, password); err != nil {
			return false, err
		}
	}
	if err := os.Chmod(next, 0o755); err != nil {
		return false, err
	}
	if err := syncFolder(next); err != nil {
		return false, err
	}
	switch err := os.Rename(next, folder); {
	case errors.Is(err, fs.ErrExist): // another one was faster
		return false, complete(folder, list)
	case err != nil:
		return false, err
	}
	return true, syncFolder(dir)
}

func complete(folder string, list []secret) error {
	for _, s := range list {
		if _, err := os.Lstat(filepath.Join(folder, s.name)); err != nil {
			return fmt.Errorf("%w: the database's password is lost; delete it with the data (down --volumes) and start anew", err)
		}
	}
	return nil
}

func (s secret) write(folder, password string) error {
	f, err := os.OpenFile(filepath.Join(folder, s.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, s.format, password)
	// The mode first: it is the owner who may change it.
	return errors.Join(err, f.Chmod(0o400), f.Chown(s.uid, s.gid), f.Sync(), f.Close())
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
