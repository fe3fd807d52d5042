package obtain

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// Release is the archive of an official release for one platform.
type Release struct {
	Program string   `json:"program"` // Program.Name
	Version string   `json:"version"`
	OS      string   `json:"os"`
	Arch    string   `json:"arch"`
	URL     string   `json:"url"`
	Size    int64    `json:"size,omitempty"` // bytes; 0: unknown
	SHA256  string   `json:"sha256"`
	Sources []string `json:"sources"` // where the sum is published: independent of each other
}

// Archive returns the name of the file.
func (r Release) Archive() string {
	u, err := url.Parse(r.URL)
	if err != nil {
		return ""
	}
	return path.Base(u.Path)
}

// Releases reads the pinned releases of the repository at root.
func Releases(root string) ([]Release, error) {
	file := filepath.Join(root, "backends", "releases.json")
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	list, err := parseReleases(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return list, nil
}

func parseReleases(b []byte) ([]Release, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var list []Release
	if err := dec.Decode(&list); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("more than one JSON value")
	}
	for i, r := range list {
		err := r.check()
		if err == nil && slices.ContainsFunc(list[:i], func(o Release) bool {
			return o.Program == r.Program && o.OS == r.OS && o.Arch == r.Arch
		}) {
			err = errors.New("a second row for this platform")
		}
		if err != nil {
			return nil, fmt.Errorf("row %d, %s %s %s/%s: %w", i+1, r.Program, r.Version, r.OS, r.Arch, err)
		}
	}
	return list, nil
}

// check returns an error if a field is missing or invalid.
func (r Release) check() error {
	i := slices.IndexFunc(Programs(), func(p *Program) bool { return p.Name == r.Program })
	if i < 0 {
		return errors.New("program: unknown")
	}
	v, ok := parseVersion(r.Version)
	if !ok || v.String() != r.Version {
		return errors.New("version: want three numbers, such as 1.2.3")
	}
	if err := Programs()[i].fits(v); err != nil {
		return err
	}
	if r.OS != "linux" && r.OS != "darwin" {
		return errors.New("os: want linux or darwin")
	}
	if r.Arch != "amd64" && r.Arch != "arm64" {
		return errors.New("arch: want amd64 or arm64")
	}
	if !isHTTPS(r.URL) {
		return errors.New("url: want an https URL")
	}
	if sum, err := hex.DecodeString(r.SHA256); err != nil || len(sum) != 32 || hex.EncodeToString(sum) != r.SHA256 {
		return errors.New("sha256: want 64 hexadecimal digits in lower case")
	}
	if r.Size < 0 {
		return errors.New("size: want a number of bytes")
	}
	for _, s := range r.Sources {
		if !isHTTPS(s) {
			return fmt.Errorf("sources: %q is not an https URL", s)
		}
	}
	if len(r.Sources) < 2 || len(slices.Compact(slices.Sorted(slices.Values(r.Sources)))) != len(r.Sources) {
		return errors.New("sources: want two different ones")
	}
	return nil
}

func isHTTPS(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != ""
}

// Select returns the release of a program for a platform.
func (p *Program) Select(list []Release, goos, goarch string) (r Release, ok bool) {
	i := slices.IndexFunc(list, func(r Release) bool {
		return r.Program == p.Name && r.OS == goos && r.Arch == goarch
	})
	if i < 0 {
		return Release{}, false
	}
	return list[i], true
}
