package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"soundcheck/compose/images"
)

// newSpec describes an image with a tar archive and a file as layers.
func newSpec(t *testing.T, content string) images.Spec {
	t.Helper()
	dir := t.TempDir()
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644, Size: 4}); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "root")
	w.Close()
	for name, text := range map[string]string{"root.tar": root.String(), "program": content} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return images.Spec{Name: "console", User: "65532:65532", Entrypoint: []string{"/bin/program"}, StopSignal: "SIGINT",
		Labels: map[string]string{"org.opencontainers.image.title": "Soundcheck console"},
		Layers: []images.Layer{{Tar: filepath.Join(dir, "root.tar")}, {File: filepath.Join(dir, "program"), Path: "bin/program"}}}
}

func pack(t *testing.T, content, platform string, compress bool) *Image {
	t.Helper()
	i, err := Pack(newSpec(t, content), platform, compress)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// An image is a function of its content: not of files' times, owners and places.
func TestPackIsReproducible(t *testing.T) {
	t.Parallel()
	for _, compress := range []bool{false, true} {
		first := pack(t, "one", "linux/amd64", compress)
		spec := newSpec(t, "one")
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(spec.Layers[1].File, old, old); err != nil {
			t.Fatal(err)
		}
		second, err := Pack(spec, "linux/amd64", compress)
		if err != nil || second.Tag() != first.Tag() {
			t.Errorf("compress %t: tags %s and %s, %v", compress, first.Tag(), second.Tag(), err)
		}
		for _, other := range []*Image{pack(t, "two", "linux/amd64", compress), pack(t, "one", "linux/arm64", compress)} {
			if other.Tag() == first.Tag() {
				t.Errorf("compress %t: another image has the tag %s, too", compress, first.Tag())
			}
		}
	}
	if _, err := Pack(newSpec(t, ""), "linux", false); err == nil || err.Error() != `"linux" is not a platform such as linux/amd64` {
		t.Error(err)
	}
}

// checkImage follows a manifest to its layers, which must have the digests and sizes that are
// said, and returns the paths in them.
func checkImage(t *testing.T, fetch func(ocispec.Descriptor) []byte, top ocispec.Descriptor) (ocispec.Image, []string) {
	t.Helper()
	get := func(d ocispec.Descriptor) []byte {
		b := fetch(d)
		if digest.FromBytes(b) != d.Digest || int64(len(b)) != d.Size {
			t.Fatalf("%s is %s, %d bytes, want %s, %d bytes", d.MediaType, digest.FromBytes(b), len(b), d.Digest, d.Size)
		}
		return b
	}
	var m ocispec.Manifest
	var c ocispec.Image
	if err := json.Unmarshal(get(top), &m); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(get(m.Config), &c); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for i, l := range m.Layers {
		plain := get(l)
		if strings.HasSuffix(l.MediaType, "+gzip") {
			z, err := gzip.NewReader(bytes.NewReader(plain))
			if err != nil {
				t.Fatal(err)
			}
			if plain, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if c.RootFS.DiffIDs[i] != digest.FromBytes(plain) {
			t.Errorf("layer %d has the diff id %s, want %s", i, c.RootFS.DiffIDs[i], digest.FromBytes(plain))
		}
		for r := tar.NewReader(bytes.NewReader(plain)); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			paths = append(paths, fmt.Sprintf("%s %o", h.Name, h.Mode))
		}
	}
	return c, paths
}

var wantPaths = []string{"etc/passwd 644", "bin/ 755", "bin/program 755"}

func TestArchive(t *testing.T) {
	t.Parallel()
	const ref = "soundcheck.local/soundcheck/console:1"
	file := filepath.Join(t.TempDir(), "images", "console.tar")
	for _, step := range []struct {
		content string
		changed bool
	}{{"one", true}, {"one", false}, {"two", true}} {
		changed, err := pack(t, step.content, "linux/amd64", false).WriteArchive(file, ref)
		if err != nil || changed != step.changed {
			t.Fatalf("%s: changed %t, %v", step.content, changed, err)
		}
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	var index ocispec.Index
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	if got := index.Manifests[0].Annotations["io.containerd.image.name"]; got != ref {
		t.Errorf("the image's name is %q, want %q", got, ref)
	}
	config, paths := checkImage(t, func(d ocispec.Descriptor) []byte { return files[blobPath(d.Digest)] }, index.Manifests[0])
	if !slices.Equal(paths, wantPaths) || config.Config.User != "65532:65532" || config.Config.StopSignal != "SIGINT" || config.Architecture != "amd64" {
		t.Errorf("%q, %+v", paths, config)
	}
	var docker []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(files["manifest.json"], &docker); err != nil {
		t.Fatal(err)
	}
	if len(docker) != 1 || docker[0].RepoTags[0] != ref || len(docker[0].Layers) != 2 || files[docker[0].Config] == nil || files[docker[0].Layers[1]] == nil {
		t.Errorf("manifest.json of docker save: %+v", docker)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

func TestPush(t *testing.T) {
	t.Parallel()
	r, writes := newRegistry(t)
	i := pack(t, "one", "linux/amd64", true)
	if have, err := r.Has(t.Context(), "soundcheck/console", i.Tag()); have || err != nil {
		t.Errorf("before: %t, %v", have, err)
	}
	for _, first := range []bool{true, false} {
		tag, pushed, err := r.Push(t.Context(), []*Image{i})
		if err != nil || pushed != first || tag != i.Tag() {
			t.Fatalf("first %t: tag %s, pushed %t, %v", first, tag, pushed, err)
		}
		if n := writes(); (n > 0) != first {
			t.Errorf("first %t: %d requests changed the registry", first, n)
		}
	}
	if have, err := r.Has(t.Context(), "soundcheck/console", i.Tag()); !have || err != nil {
		t.Errorf("after: %t, %v", have, err)
	}
	fetch := func(d ocispec.Descriptor) []byte {
		kind := "blobs"
		if d.MediaType == ocispec.MediaTypeImageManifest {
			kind = "manifests"
		}
		resp, err := http.Get("http://" + r.Host + "/v2/soundcheck/console/" + kind + "/" + d.Digest.String())
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, paths := checkImage(t, fetch, i.Manifest); !slices.Equal(paths, wantPaths) {
		t.Errorf("%q, want %q", paths, wantPaths)
	}
	// A layer that is there already is not sent again; nodes of two platforms need an index.
	arm := pack(t, "one", "linux/arm64", true)
	tag, pushed, err := r.Push(t.Context(), []*Image{i, arm})
	if err != nil || !pushed || tag == i.Tag() || tag == arm.Tag() {
		t.Fatalf("index: tag %s, pushed %t, %v", tag, pushed, err)
	}
	resp, err := http.Get("http://" + r.Host + "/v2/soundcheck/console/manifests/" + tag)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var index ocispec.Index
	if err := json.NewDecoder(resp.Body).Decode(&index); err != nil || len(index.Manifests) != 2 {
		t.Fatalf("%+v, %v", index, err)
	}
	if p := index.Manifests[1].Platform; p == nil || p.Architecture != "arm64" {
		t.Errorf("the second image is for %+v", p)
	}
}

func TestRegistryErrors(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	private := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer private.Close()
	for url, want := range map[string]string{
		closed.URL:     "does not respond (connect: connection refused): start it",
		private.URL:    "rejects the push: log in with docker login 127.0.0.1:",
		"http://a b/c": `registry "a b/c": `,
	} {
		host := strings.TrimPrefix(url, "http://")
		_, _, err := Registry{Host: host}.Push(t.Context(), []*Image{pack(t, "one", "linux/amd64", true)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", host, err, want)
		}
	}
	// With credentials of a cloud, neither docker login nor another registry is the fix.
	for url, want := range map[string]string{
		closed.URL:  "does not respond (connect: connection refused)",
		private.URL: "rejects the push by user AWS: the password is wrong, or the account has no permission to write images",
	} {
		r := Registry{Host: strings.TrimPrefix(url, "http://"), User: "AWS", Password: "p"}
		_, _, err := r.Push(t.Context(), []*Image{pack(t, "one", "linux/amd64", true)})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "start it") {
			t.Errorf("%s: %v, want %s", r.Host, err, want)
		}
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost:5050": true, "127.0.0.1:5050/team": true, "[::1]:5000": true, "k3d-registry.localhost:5050": true,
		"ghcr.io/team": false, "192.168.0.2:32000": false, "localhost.example": false,
	} {
		if got := loopback(host); got != want {
			t.Errorf("loopback(%q) = %t", host, got)
		}
	}
}
