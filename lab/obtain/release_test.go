package obtain

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"soundcheck/lab/build"
)

func root(t *testing.T) string {
	t.Helper()
	dir, err := build.Repository()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// The pinned releases are complete, and their versions fit.
func TestReleases(t *testing.T) {
	t.Parallel()
	list, err := Releases(root(t))
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile(filepath.Join(root(t), "docs/lab.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if row := "| `" + r.Archive() + "` | " + r.OS + "/" + r.Arch + " |"; !strings.Contains(string(docs), row) {
			t.Errorf("docs/lab.md has no row %s for a mirror", row)
		}
		if !strings.HasSuffix(r.Archive(), ".tar.gz") || !strings.Contains(r.Archive(), r.Version) || !strings.Contains(r.Archive(), r.OS) || !strings.Contains(r.Archive(), r.Arch) {
			t.Errorf("%s is not the archive of %s %s for %s/%s", r.URL, r.Program, r.Version, r.OS, r.Arch)
		}
		for _, o := range list {
			if o.URL != r.URL && (o.Archive() == r.Archive() || o.SHA256 == r.SHA256) {
				t.Errorf("%s and %s have one name or one sum", r.URL, o.URL)
			}
		}
		// The first source cannot change. The second can be the history of a file: the sum is
		// that of the file's version with this release.
		for i, form := range []string{`blob/[0-9a-f]{40}`, `(blob/[0-9a-f]{40}|commits/[\w-]+)`} {
			if !regexp.MustCompile(`^https://github\.com/[^/]+/[^/]+/` + form + `/.+`).MatchString(r.Sources[i]) {
				t.Errorf("%s %s: source %s is no file at a commit", r.Program, r.Version, r.Sources[i])
			}
		}
		if owner := func(i int) string { return strings.Split(r.Sources[i], "/")[3] }; owner(0) == owner(1) {
			t.Errorf("%s %s: the sources have one owner, %s", r.Program, r.Version, owner(0))
		}
	}
}

func TestParseReleases(t *testing.T) {
	t.Parallel()
	good := func() map[string]any {
		return map[string]any{"program": "jaeger", "version": "2.13.0", "os": "linux", "arch": "amd64", "url": "https://h/jaeger-2.13.0.tar.gz",
			"size": 7, "sha256": strings.Repeat("0a", 32), "sources": []string{"https://a/x", "https://b/y"}}
	}
	parse := func(rows ...any) ([]Release, error) {
		b, err := json.Marshal(rows)
		if err != nil {
			t.Fatal(err)
		}
		return parseReleases(b)
	}
	other := good()
	other["arch"] = "arm64"
	delete(other, "size")
	list, err := parse(good(), other)
	if err != nil || len(list) != 2 || list[0].Size != 7 || list[1].Size != 0 || list[0].Archive() != "jaeger-2.13.0.tar.gz" {
		t.Fatalf("parseReleases = %+v, %v", list, err)
	}
	if r, ok := Jaeger.Select(list, "linux", "arm64"); !ok || r.Arch != "arm64" {
		t.Errorf("Select = %+v, %t", r, ok)
	}
	for _, p := range []struct {
		p      *Program
		os, ar string
	}{{Jaeger, "darwin", "amd64"}, {Prometheus, "linux", "amd64"}} {
		if r, ok := p.p.Select(list, p.os, p.ar); ok {
			t.Errorf("Select(%s, %s/%s) = %+v", p.p.Name, p.os, p.ar, r)
		}
	}
	if list, err := parseReleases([]byte("[]\n")); err != nil || len(list) != 0 {
		t.Errorf("an empty list: %v, %v", list, err)
	}
	for field, values := range map[string][]any{
		"program": {"", "tempo"},
		"version": {"", "2.13", "v2.13.0", "2.12.9", "3.0.0", "2.13.0-rc.1"},
		"os":      {"", "windows"},
		"arch":    {"", "386"},
		"url":     {"", "http://h/a.tar.gz", "https:///a.tar.gz"},
		"size":    {-1, "7"},
		"sha256":  {"", strings.Repeat("0A", 32), strings.Repeat("0a", 31), strings.Repeat("zz", 32)},
		"sources": {nil, []string{"https://a/x"}, []string{"https://a/x", "https://a/x"}, []string{"https://a/x", "http://b/y"}},
		"digest":  {"x"},
	} {
		for _, v := range values {
			row := good()
			row[field] = v
			if list, err := parse(row); err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("%s: %v: %v, error %v", field, v, list, err)
			}
		}
	}
	if _, err := parse(good(), good()); err == nil || err.Error() != "row 2, jaeger 2.13.0 linux/amd64: a second row for this platform" {
		t.Errorf("two rows for one platform: %v", err)
	}
	for _, text := range []string{"", "{}", "[] []", "[{]"} {
		if _, err := parseReleases([]byte(text)); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
	if _, err := Releases(t.TempDir()); err == nil {
		t.Error("no file: no error")
	}
}

// The versions that the lab builds and those of the images fit, too.
func TestPinnedVersionsFit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		p             *Program
		file, version string
		module        bool
	}{
		{Jaeger, "backends/jaeger/go.mod", `github\.com/jaegertracing/jaeger (v\S+)`, true},
		{Jaeger, "compose/compose.yaml", `jaegertracing/jaeger:(\S+)`, false},
		{Prometheus, "backends/prometheus/go.mod", `github\.com/prometheus/prometheus (v\S+)`, true},
		{Prometheus, "compose/compose.yaml", `prom/prometheus:(v[\d.]+)`, false},
		{Collector, "collector/distribution/go.mod", `go\.opentelemetry\.io/collector/otelcol (v\S+)`, false},
		{Collector, "compose/compose.yaml", `opentelemetry-collector-contrib:([\d.]+)`, false},
		{Grafana, "compose/compose.yaml", `grafana/grafana:([\d.]+)`, false},
	} {
		b, err := os.ReadFile(filepath.Join(root(t), tt.file))
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(tt.version).FindSubmatch(b)
		if m == nil {
			t.Errorf("%s has no %s", tt.file, tt.version)
			continue
		}
		v, ok := parseVersion(string(m[1]))
		if tt.module {
			v = tt.p.release(v)
		}
		if err := tt.p.fits(v); !ok || err != nil {
			t.Errorf("%s, %s: %v", tt.file, m[1], err)
		}
	}
}
