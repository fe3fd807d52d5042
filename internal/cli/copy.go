package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// CopySelf copies the running program to a file, atomically: concurrent copies do not mix.
func CopySelf(to string, mode os.FileMode) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	from, err := os.Open(exe)
	if err != nil {
		return err
	}
	defer from.Close()
	f, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+".new*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), to)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
