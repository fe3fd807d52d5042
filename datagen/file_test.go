package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"soundcheck/datagen/file"
	"soundcheck/internal/fakealbum"
)

// The same flags give the same bytes, and -from continues where -n ended.
func TestOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := func(args ...string) string {
		t.Helper()
		stdout, stderr, code := datagen(t.Context(), args...)
		if code != 0 || stderr != "" {
			t.Fatalf("datagen %q: exit code %d, %s", args, code, stderr)
		}
		return stdout
	}
	all := out("-n", "5000", "-seed", "7", "-o", "-")
	if again := out("-n", "5000", "-seed", "7", "-o", "-"); again != all {
		t.Error("the same flags give other bytes")
	}
	if parts := out("-n", "2000", "-seed", "7", "-o", "-") + out("-n", "3000", "-from", "2000", "-seed", "7", "-o", "-"); parts != all {
		t.Error("the first 2000 and the next 3000 are not the first 5000")
	}
	name := filepath.Join(dir, "albums.ndjson")
	if stdout := out("-n", "5000", "-seed", "7", "-o", name); stdout != "" {
		t.Errorf("stdout %q", stdout)
	}
	if b, err := os.ReadFile(name); err != nil || string(b) != all {
		t.Errorf("the file is not what stdout got: %v", err)
	}
	n := uint64(0)
	for a, err := range file.Read(bytes.NewReader([]byte(all)), file.NDJSON) {
		if want := fakealbum.New(7, n); err != nil || a != want {
			t.Fatalf("album %d: %+v, %v, want %+v", n, a, err, want)
		}
		n++
	}
	if n != 5000 {
		t.Errorf("%d albums", n)
	}
	plain := out("-n", "5000", "-unicode", "0", "-o", "-")
	if i := strings.IndexFunc(plain, func(r rune) bool { return r > 0x7f }); i >= 0 {
		t.Errorf("-unicode 0 gives %q", plain[max(i-40, 0):i+10])
	}
	if sql := out("-n", "1", "-sql", "sqlite", "-o", filepath.Join(dir, "a.sql.gz")); sql != "" {
		t.Errorf("stdout %q", sql)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-o", "albums.txt"}, 2, "datagen: -o: unknown extension of albums.txt: .ndjson, .json, .csv or .sql, with or without .gz\n"},
		{[]string{"-o", "a.sql", "-sql", "mysql"}, 2, `datagen: -sql "mysql" is not postgres or sqlite` + "\n"},
		{[]string{"-unicode", "1.5"}, 2, "datagen: -unicode 1.5 is out of range: 0 to 1\n"},
		{[]string{"-from", "2000000000000000000"}, 2, "datagen: -from 2000000000000000000 is out of range: 0 to 1152921504606846976\n"},
		{[]string{"-o", filepath.Join(dir, "none", "a.csv")}, 1, "datagen: -o: open "},
	} {
		if stdout, stderr, code := datagen(t.Context(), tt.args...); code != tt.code || stdout != "" || !strings.HasPrefix(stderr, tt.want) {
			t.Errorf("datagen %q: exit code %d, %q, want %d, %q", tt.args, code, stderr, tt.code, tt.want)
		}
	}
}
