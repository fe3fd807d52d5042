package charts

import (
	"bytes"
	"io/fs"
	"os"
	"testing"
)

// Load has every file of the chart, also those whose names begin with _ or a dot.
func TestLoad(t *testing.T) {
	t.Parallel()
	disk, files := os.DirFS("."), 0
	err := fs.WalkDir(disk, "soundcheck-load", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		want, err := fs.ReadFile(disk, path)
		if err != nil {
			return err
		}
		got, err := Load.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s has %d bytes embedded, %d on disk: %v", path, len(got), len(want), err)
		}
		return nil
	})
	if err != nil || files < 9 {
		t.Errorf("%d files, %v", files, err)
	}
}
