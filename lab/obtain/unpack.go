package obtain

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxUnpacked limits the size of what an archive contains. Grafana has about 1 GB.
var maxUnpacked int64 = 3 << 30

// unpack writes the files of a .tar.gz archive that are needed to the new folder dir, without
// the archive's own top folder if there is one. Nothing is written outside of dir: os.Root follows no link
// that leaves it.
func unpack(ctx context.Context, archive, dir string, needed func(name string) bool) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	zip, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	left := maxUnpacked
	for archive := tar.NewReader(zip); ; {
		h, err := archive.Next()
		switch {
		case err == io.EOF:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		}
		if h.Typeflag == tar.TypeXGlobalHeader { // no file
			continue
		}
		if !filepath.IsLocal(h.Name) {
			return fmt.Errorf("%q is outside of the archive's folder", h.Name)
		}
		top, name, inFolder := strings.Cut(path.Clean(h.Name), "/")
		if !inFolder && h.Typeflag == tar.TypeReg { // archives of the Collector have no top folder
			name = top
		}
		if name == "" || !needed(name) {
			continue
		}
		if left -= h.Size; left < 0 {
			return fmt.Errorf("it contains more than %d bytes", maxUnpacked)
		}
		if err := write(root, name, h, archive); err != nil {
			return err
		}
	}
}

// write writes one entry of an archive.
func write(root *os.Root, name string, h *tar.Header, content io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeReg:
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, h.FileInfo().Mode().Perm()&0o755|0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Close())
	case tar.TypeSymlink:
		if path.IsAbs(h.Linkname) || !filepath.IsLocal(path.Join(path.Dir(name), h.Linkname)) {
			return fmt.Errorf("%q links to %q, outside of the archive's folder", h.Name, h.Linkname)
		}
		return root.Symlink(h.Linkname, name)
	}
	return fmt.Errorf("%q is neither a file nor a folder nor a link", h.Name)
}
