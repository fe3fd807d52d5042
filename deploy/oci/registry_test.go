package oci

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
)

// registry stores blobs and manifests by path, as
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md says, without ranges, mounts and lists.
type registry struct {
	mu     sync.Mutex
	stored map[string]stored
	writes int
}

type stored struct {
	content   []byte
	mediaType string
}

func (s *registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo, rest, ok := strings.Cut(r.URL.Path, "/blobs/")
	if !ok {
		repo, rest, ok = strings.Cut(r.URL.Path, "/manifests/")
	}
	if !ok || !strings.HasPrefix(repo, "/v2/") {
		http.NotFound(w, r)
		return
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		found, ok := s.stored[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", found.mediaType)
		w.Header().Set("Content-Length", strconv.Itoa(len(found.content)))
		w.Header().Set("Docker-Content-Digest", digest.FromBytes(found.content).String())
		_, _ = w.Write(found.content) // nothing, for HEAD
		return
	}
	s.writes++
	if r.Method == http.MethodPost && rest == "uploads/" {
		w.Header().Set("Location", repo+"/blobs/uploads/1")
		w.WriteHeader(http.StatusAccepted)
		return
	}
	content, err := io.ReadAll(r.Body)
	sum := digest.FromBytes(content)
	switch {
	case err != nil || r.Method != http.MethodPut:
		w.WriteHeader(http.StatusBadRequest)
		return
	case strings.Contains(r.URL.Path, "/manifests/"):
		item := stored{content, r.Header.Get("Content-Type")}
		s.stored[r.URL.Path], s.stored[repo+"/manifests/"+sum.String()] = item, item
	case r.URL.Query().Get("digest") == sum.String():
		s.stored[repo+"/blobs/"+sum.String()] = stored{content, "application/octet-stream"}
	default:
		http.Error(w, "the content has another digest", http.StatusBadRequest)
		return
	}
	w.Header().Set("Docker-Content-Digest", sum.String())
	w.WriteHeader(http.StatusCreated)
}

// newRegistry starts a registry and counts what changes it.
func newRegistry(t *testing.T) (Registry, func() int) {
	t.Helper()
	handler := &registry{stored: map[string]stored{}}
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return Registry{Host: strings.TrimPrefix(s.URL, "http://")}, func() int {
		handler.mu.Lock()
		defer handler.mu.Unlock()
		n := handler.writes
		handler.writes = 0
		return n
	}
}

// A user and a password of the Registry are sent, and no others.
func TestCredentials(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "AWS" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(s.Close)
	host := strings.TrimPrefix(s.URL, "http://") + "/project"
	if have, err := (Registry{Host: host, User: "AWS", Password: "secret"}).Has(t.Context(), "soundcheck/console", "1"); have || err != nil {
		t.Errorf("Has = %t, %v, want false", have, err)
	}
	if _, err := (Registry{Host: host, User: "AWS", Password: "another"}).Has(t.Context(), "soundcheck/console", "1"); err == nil || !strings.Contains(err.Error(), "the password is wrong") {
		t.Errorf("another password: %v", err)
	}
}
