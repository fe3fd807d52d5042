package report

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	t.Parallel()
	dir, target := filepath.Join(t.TempDir(), "run"), "http://x/?"+strings.Repeat("a=b&", 1500)
	if _, _, _, err := ReadProgress(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a run: %v", err)
	}
	f, err := NewFolder(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Progress(Progress{}); err != nil {
		t.Errorf("before Watch: %v", err)
	}
	if err := f.Watch("a name", target); err != nil {
		t.Fatal(err)
	}
	first, last, at, err := ReadProgress(dir)
	if err != nil || first.PID != os.Getpid() || first.Name != "a name" || first.Target != target || first.Phase != Begins || len(last) != 1 || time.Since(at) > time.Minute {
		t.Errorf("at first: %+v, %d, %s, %v", first, len(last), at, err)
	}
	const lines = 6000 // more than a tail
	for i := range lines {
		if err := f.Progress(Progress{Phase: Running, Requests: i + 1}); err != nil {
			t.Fatal(err)
		}
	}
	// A reader may see a part of a line.
	if _, err := f.progress.WriteString(`{"phase":"run`); err != nil {
		t.Fatal(err)
	}
	first, last, _, err = ReadProgress(dir)
	if err != nil || first.Name != "a name" || len(last) == 0 || len(last) >= lines || last[len(last)-1].Requests != lines || last[0].Requests != lines-len(last)+1 {
		t.Errorf("later: %+v, %d, %v", first, len(last), err)
	}
	if err := f.Finish(&Report{}); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := ReadProgress(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}
}
