package oci

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// WriteArchive writes the image to a file that containerd (ctr image import, k3d, kind, MicroK8s)
// and docker load can read: an OCI layout with the manifest.json of docker save beside it. Ref is
// its complete name, such as soundcheck.local/soundcheck/console:4f0c12ab34cd. It reports whether
// the file has changed.
func (i *Image) WriteArchive(file, ref string) (changed bool, err error) {
	index, err := json.Marshal(i.index(ref))
	if err != nil {
		return false, err
	}
	if archived(file, index) {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return false, err
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*") // never half an archive
	if err != nil {
		return false, err
	}
	defer os.Remove(f.Name())
	err = errors.Join(i.write(f, ref, index), f.Chmod(0o644), f.Close())
	if err != nil {
		return false, err
	}
	return true, os.Rename(f.Name(), file)
}

// index is the index.json of an archive, which containerd reads.
func (i *Image) index(ref string) ocispec.Index {
	m := i.Manifest
	m.Annotations = map[string]string{"io.containerd.image.name": ref, ocispec.AnnotationRefName: ref}
	return ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{m}}
}

// archived reports whether an archive has this index, which is its first file.
func archived(file string, index []byte) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	t := tar.NewReader(f)
	if h, err := t.Next(); err != nil || h.Name != "index.json" {
		return false
	}
	have, err := io.ReadAll(io.LimitReader(t, 1<<20))
	return err == nil && bytes.Equal(have, index)
}

func (i *Image) write(w io.Writer, ref string, index []byte) error {
	t := tar.NewWriter(w)
	file := func(name string, size int64, r io.Reader) error {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size}); err != nil {
			return err
		}
		_, err := io.Copy(t, r)
		return err
	}
	bytesFile := func(name string, b []byte) error { return file(name, int64(len(b)), bytes.NewReader(b)) }
	// Of docker save: the configuration, and the layers in order.
	var docker struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	docker.RepoTags = []string{ref}
	for _, b := range i.blobs {
		switch {
		case strings.HasPrefix(b.MediaType, ocispec.MediaTypeImageLayer):
			docker.Layers = append(docker.Layers, blobPath(b.Digest))
		case b.MediaType == ocispec.MediaTypeImageConfig:
			docker.Config = blobPath(b.Digest)
		}
	}
	manifest, err := json.Marshal([]any{docker})
	if err != nil {
		return err
	}
	err = errors.Join(bytesFile("index.json", index), bytesFile("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)), bytesFile("manifest.json", manifest))
	if err != nil {
		return err
	}
	for _, b := range i.blobs {
		r, err := b.open()
		if err != nil {
			return err
		}
		err = errors.Join(file(blobPath(b.Digest), b.Size, r), r.Close())
		if err != nil {
			return err
		}
	}
	return t.Close()
}

func blobPath(d digest.Digest) string { return "blobs/" + d.Algorithm().String() + "/" + d.Encoded() }
