package obtain

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"soundcheck/lab/build"
)

// MirrorVariable is the environment variable with the URL of a folder that has the archives.
const MirrorVariable = "SOUNDCHECK_MIRROR"

// ErrUnreachable means that no byte of an archive arrived in time.
var ErrUnreachable = errors.New("not reachable")

// Fetcher downloads releases into the lab's bin folder.
type Fetcher struct {
	dir    string
	mirror *url.URL // nil: the URLs of the releases
	client *http.Client

	// FirstByte limits the time to the first byte of an archive: with connect, TLS and
	// redirects.
	FirstByte time.Duration
	// Stall limits the time between two reads after that.
	Stall time.Duration
}

// NewFetcher returns a Fetcher for the bin folder dir. mirror, if not empty, is the value of
// SOUNDCHECK_MIRROR. The proxies of the environment are used (HTTPS_PROXY, NO_PROXY).
func NewFetcher(dir, mirror string) (*Fetcher, error) {
	f := &Fetcher{dir: dir, FirstByte: 30 * time.Second, Stall: 20 * time.Second,
		client: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone(), CheckRedirect: checkRedirect}}
	if mirror == "" {
		return f, nil
	}
	u, err := url.Parse(mirror)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%s: want an http or https URL of a folder", MirrorVariable) // it can hold a password
	}
	f.mirror = u
	return f, nil
}

// address returns the URL of r's archive.
func (f *Fetcher) address(r Release) string {
	if f.mirror == nil {
		return r.URL
	}
	return f.mirror.JoinPath(r.Archive()).String()
}

// Dir returns the folder of an installed release.
func (f *Fetcher) Dir(r Release) string { return filepath.Join(f.dir, r.Program+"-"+r.Version) }

// temp returns the folder of what is not complete.
func (f *Fetcher) temp() string { return filepath.Join(f.dir, ".fetch") }

// sumFile is in the folder of an installed release: the sum of its archive.
const sumFile = ".archive-sha256"

// Installed returns the program of r if it was fetched before.
func (f *Fetcher) Installed(p *Program, r Release) (Found, bool) {
	path := filepath.Join(f.Dir(r), filepath.FromSlash(p.file))
	sum, err := os.ReadFile(filepath.Join(f.Dir(r), sumFile))
	if err != nil || string(sum) != r.SHA256 || size(path) == 0 { // deleted, or empty after a power failure
		return Found{}, false
	}
	found := Found{Name: p.Name, Path: path,
		Version: r.Version, Origin: r.Archive(), Release: true}
	if p.folder {
		found.Home = f.Dir(r)
	}
	return found, true
}

// Fetch downloads, verifies and unpacks r unless it is installed. progress, if not nil, gets
// the bytes that are there and the size of the archive, or 0 if that is unknown. What has
// arrived when it fails stays, and the next Fetch continues there. Several labs may fetch the
// same release: one downloads, the others wait.
func (f *Fetcher) Fetch(ctx context.Context, p *Program, r Release, progress func(done, total int64)) (found Found, err error) {
	if found, ok := f.Installed(p, r); ok {
		return found, nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("fetch %s %s: %w", r.Program, r.Version, err)
		}
	}()
	if err := os.MkdirAll(f.temp(), 0o755); err != nil {
		return Found{}, err
	}
	unlock, err := build.Lock(ctx, filepath.Join(f.temp(), r.SHA256+".lock"))
	if err != nil {
		return Found{}, err
	}
	defer unlock()
	if found, ok := f.Installed(p, r); ok {
		return found, nil
	}
	part := filepath.Join(f.temp(), r.SHA256+".part")
	if err := f.download(ctx, r, part, progress); err != nil {
		return Found{}, err
	}
	if err := f.install(ctx, p, r, part); err != nil {
		return Found{}, fmt.Errorf("%s: %w", r.Archive(), err)
	}
	os.Remove(part)
	found, _ = f.Installed(p, r)
	return found, nil
}

// install unpacks a verified archive and checks the program before it puts the folder in
// place.
func (f *Fetcher) install(ctx context.Context, p *Program, r Release, archive string) error {
	next := filepath.Join(f.temp(), r.SHA256+".new")
	if err := os.RemoveAll(next); err != nil { // after an installation that was killed
		return err
	}
	defer os.RemoveAll(next)
	needs := func(name string) bool { return p.folder || name == p.file }
	if err := unpack(ctx, archive, next, needs); err != nil {
		return err
	}
	program := filepath.Join(next, filepath.FromSlash(p.file))
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("it has no %s", p.file)
	}
	switch got, err := p.inspect(ctx, program); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case got.Version != r.Version:
		return fmt.Errorf("its program has version %s", got.Version)
	}
	if err := os.WriteFile(filepath.Join(next, sumFile), []byte(r.SHA256), 0o644); err != nil {
		return err
	}
	if err := os.RemoveAll(f.Dir(r)); err != nil {
		return err
	}
	return os.Rename(next, f.Dir(r))
}

// checkRedirect rejects redirects to a connection that is not encrypted.
func checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= 10:
		return errors.New("more than 10 redirects")
	case via[0].URL.Scheme == "https" && req.URL.Scheme != "https":
		return fmt.Errorf("redirected from https to %s", req.URL.Scheme)
	}
	return nil
}

// withoutURL returns the cause of an error of http.Client, whose message begins with the URL.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// redacted returns an address without its password.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return strings.SplitN(address, "?", 2)[0]
	}
	return u.Redacted()
}
