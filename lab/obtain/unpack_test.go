package obtain

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func unpackAll(t *testing.T, dir string, b []byte) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return unpack(t.Context(), file, dir, func(name string) bool { return !strings.HasPrefix(name, "docs") })
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	err := unpackAll(t, dir, archive(
		entry{name: "pax", kind: tar.TypeXGlobalHeader},
		entry{name: "./top/", kind: tar.TypeDir},
		entry{name: "./top/bin/tool", content: "tool", mode: 0o4777},
		entry{name: "top/public/a/b.txt", content: "text", mode: 0o600},
		entry{name: "top/empty/", kind: tar.TypeDir},
		entry{name: "top/docs/page", content: "page"},
		entry{name: "top/latest", kind: tar.TypeSymlink, link: "public/a"},
		entry{name: "top/public/up", kind: tar.TypeSymlink, link: "../bin/tool"},
		entry{name: "README.md", content: "in no folder"},
	))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		content string
		mode    os.FileMode
	}{"bin/tool": {"tool", 0o755}, "public/a/b.txt": {"text", 0o644}, "latest/b.txt": {"text", 0o644}, "public/up": {"tool", 0o755}} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		info, _ := os.Stat(filepath.Join(dir, name))
		if err != nil || string(b) != want.content || info.Mode()&^0o022 != want.mode&^0o022 {
			t.Errorf("%s: %q, %v, %v, want %q, %v", name, b, info.Mode(), err, want.content, want.mode)
		}
	}
	wantFiles(t, dir, "README.md", "bin", "empty", "latest", "public")
}

// An archive that would write elsewhere is not unpacked to its end.
func TestUnpackOutside(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		entries []entry
		want    string
	}{
		"parent":           {[]entry{{name: "top/../../evil", content: "x"}}, `"top/../../evil" is outside`},
		"parent, unneeded": {[]entry{{name: "top/docs/../../../evil", content: "x"}}, "is outside"},
		"absolute":         {[]entry{{name: "/tmp/evil", content: "x"}}, `"/tmp/evil" is outside`},
		"absolute link":    {[]entry{{name: "top/link", kind: tar.TypeSymlink, link: "/etc"}}, `"top/link" links to "/etc", outside`},
		"link to a parent": {[]entry{{name: "top/a/link", kind: tar.TypeSymlink, link: "../../x"}}, `links to "../../x", outside`},
		"through links":    {[]entry{{name: "top/a/one", kind: tar.TypeSymlink, link: ".."}, {name: "top/two", kind: tar.TypeSymlink, link: "a/one/.."}, {name: "top/two/evil", content: "x"}}, "escapes"},
		"hard link":        {[]entry{{name: "top/link", kind: tar.TypeLink, link: "/etc/passwd"}}, "neither a file nor a folder nor a link"},
		"device":           {[]entry{{name: "top/null", kind: tar.TypeChar}}, "neither a file nor a folder nor a link"},
		"twice":            {[]entry{{name: "top/a", content: "x"}, {name: "top/a", content: "y"}}, "file exists"},
	} {
		parent := t.TempDir()
		dir := filepath.Join(parent, "state", "new")
		err := unpackAll(t, dir, archive(tt.entries...))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
		wantFiles(t, parent, "state")
		wantFiles(t, filepath.Join(parent, "state"), "new")
	}
}

func TestUnpackBounds(t *testing.T) { // not parallel: maxUnpacked
	defer func(n int64) { maxUnpacked = n }(maxUnpacked)
	maxUnpacked = 10
	good := archive(entry{name: "top/a", content: "12345"}, entry{name: "top/b", content: "67890"}, entry{name: "top/docs", content: "skipped"})
	if err := unpackAll(t, filepath.Join(t.TempDir(), "new"), good); err != nil {
		t.Error(err)
	}
	if err := unpackAll(t, filepath.Join(t.TempDir(), "new"), archive(entry{name: "top/a", content: strings.Repeat("0", 11)})); err == nil || err.Error() != "it contains more than 10 bytes" {
		t.Errorf("unpack: %v", err)
	}
	for name, b := range map[string][]byte{"not compressed": []byte("<html>"), "cut": good[:len(good)/2], "empty": nil} {
		if err := unpackAll(t, filepath.Join(t.TempDir(), "new"), b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
