// Package oci packs container images from files, without a container engine, and writes them to
// archives and registries.
package oci

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"soundcheck/compose/images"
)

// Image is an image for one platform.
type Image struct {
	Name     string // as in soundcheck/NAME
	Manifest ocispec.Descriptor
	blobs    []blob // layers, configuration, manifest: each after what it refers to
}

// blob is content that can be read many times. Layers are not held in memory.
type blob struct {
	ocispec.Descriptor
	open func() (io.ReadCloser, error)
}

// Pack packs an image for a platform, such as linux/amd64. Compress compresses its layers, for a
// registry. The result depends on the files' content only, not on their times.
func Pack(spec images.Spec, platform string, compress bool) (*Image, error) {
	goos, goarch, ok := strings.Cut(platform, "/")
	if !ok {
		return nil, fmt.Errorf("%q is not a platform such as linux/amd64", platform)
	}
	config := ocispec.Image{
		Platform: ocispec.Platform{OS: goos, Architecture: goarch},
		Config: ocispec.ImageConfig{User: spec.User, Env: spec.Env, Entrypoint: spec.Entrypoint,
			StopSignal: spec.StopSignal, Labels: spec.Labels, WorkingDir: "/"},
		RootFS: ocispec.RootFS{Type: "layers"},
	}
	if len(config.Config.Env) == 0 {
		config.Config.Env = []string{"PATH=/"}
	}
	img := &Image{Name: spec.Name}
	var layers []ocispec.Descriptor
	for _, l := range spec.Layers {
		b, diffID, err := packLayer(l, compress)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", spec.Name, err)
		}
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diffID)
		layers = append(layers, b.Descriptor)
		img.blobs = append(img.blobs, b)
	}
	c, err := packJSON(ocispec.MediaTypeImageConfig, config)
	if err != nil {
		return nil, err
	}
	m, err := packJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: c.Descriptor, Layers: layers,
	})
	if err != nil {
		return nil, err
	}
	m.Platform = &config.Platform
	img.Manifest = m.Descriptor
	img.blobs = append(img.blobs, c, m)
	return img, nil
}

// Tag returns a tag that another content never has, so that a changed image replaces pods and an
// unchanged one does not.
func (i *Image) Tag() string { return i.Manifest.Digest.Encoded()[:12] }

// Size returns the size of all layers, in bytes.
func (i *Image) Size() (n int64) {
	for _, b := range i.blobs {
		n += b.Descriptor.Size
	}
	return n
}

func packJSON(mediaType string, v any) (blob, error) {
	text, err := json.Marshal(v)
	return blob{
		ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(text), Size: int64(len(text))},
		func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(text))), nil },
	}, err
}

// packLayer reads a layer once, for its digests.
func packLayer(l images.Layer, compress bool) (b blob, diffID digest.Digest, err error) {
	plain := func(w io.Writer) error { return writeLayer(w, l) }
	write, mediaType := plain, ocispec.MediaTypeImageLayer
	if compress {
		mediaType = ocispec.MediaTypeImageLayerGzip
		write = func(w io.Writer) error {
			z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
			return errors.Join(plain(z), z.Close())
		}
		sum := sha256.New()
		if err := plain(sum); err != nil {
			return blob{}, "", err
		}
		diffID = digest.NewDigest(digest.SHA256, sum)
	}
	sum, size := sha256.New(), counter(0)
	if err := write(io.MultiWriter(sum, &size)); err != nil {
		return blob{}, "", err
	}
	d := digest.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil)))
	if !compress {
		diffID = d
	}
	open := func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(write(w)) }()
		return r, nil
	}
	return blob{ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(size)}, open}, diffID, nil
}

type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// writeLayer writes a layer as a tar archive.
func writeLayer(w io.Writer, l images.Layer) error {
	name := l.Tar
	if name == "" {
		name = l.File
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if l.Tar != "" {
		_, err = io.Copy(w, f)
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	var dirs []string
	for dir := path.Dir(l.Path); dir != "."; dir = path.Dir(dir) {
		dirs = append([]string{dir}, dirs...)
	}
	for _, dir := range dirs {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}); err != nil {
			return err
		}
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: l.Path, Mode: 0o755, Size: st.Size()}); err != nil {
		return err
	}
	if _, err := io.Copy(t, f); err != nil {
		return err
	}
	return t.Close()
}
