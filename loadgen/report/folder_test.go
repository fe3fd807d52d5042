package report

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// Files appear when they are complete, report.json last.
func TestFilesAreComplete(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, broken := filepath.Join(dir, "file"), errors.New("broken")
	if err := writeFile(path, func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, broken)
	}); !errors.Is(err, broken) {
		t.Errorf("writeFile = %v, want %v", err, broken)
	}
	if err := writeFile(path, func(w io.Writer) error {
		if list, err := os.ReadDir(dir); err != nil || len(list) != 1 || list[0].Name() != "file.part" {
			t.Errorf("while it is written there are %v, %v", list, err)
		}
		_, err := io.WriteString(w, "complete")
		return err
	}); err != nil {
		t.Error(err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 || list[0].Name() != "file" {
		t.Errorf("then there are %v, %v", list, err)
	}

	f, err := NewFolder(filepath.Join(dir, "run"), true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewFolder(filepath.Join(dir, "run"), true); err == nil {
		t.Error("two runs in a folder")
	}
	f.Add(&vegeta.Result{})
	if _, err := os.Stat(filepath.Join(f.path, resultsFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s before the end: %v", resultsFile, err)
	}
	// A broken interval makes the page and so the run fail.
	if err := f.Finish(&Report{Intervals: []Interval{{HDR: "broken"}}}); err == nil {
		t.Error("a broken interval is written")
	}
	if _, err := os.Stat(filepath.Join(f.path, reportFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s of a run that is not complete: %v", reportFile, err)
	}
	if got := mode(t, filepath.Join(f.path, resultsFile)); got != 0o600 {
		t.Errorf("%s has mode %o, want 600", resultsFile, got)
	}
}
