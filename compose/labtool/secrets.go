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

// databaseSecrets are the files of the database and of its clients. The users are those in
// compose.yaml.
var databaseSecrets = []secret{
	{"postgres-password", 999, 999, "%s"},
	{"pgpass", 65532, 65532, "*:*:albums:albums:%s\n"}, // host:port:database:user:password
}

// makeSecrets creates the folder database in dir, with a random password, once: a database
// stores the password that it was created with. The rename makes both files appear at once.
// Root owns the folders, so it can check that the files exist, but it cannot read them.
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
	defer os.RemoveAll(next) // no-op after the rename
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
	case errors.Is(err, fs.ErrExist): // another prepare was faster
		return false, complete(folder, list)
	case err != nil:
		return false, err
	}
	return true, syncFolder(dir)
}

func complete(folder string, list []secret) error {
	for _, s := range list {
		if _, err := os.Lstat(filepath.Join(folder, s.name)); err != nil {
			return fmt.Errorf("%w: the database's password is lost; delete the data (down --volumes) and start again", err)
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
	// The mode first: only the owner may change it.
	return errors.Join(err, f.Chmod(0o400), f.Chown(s.uid, s.gid), f.Sync(), f.Close())
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
