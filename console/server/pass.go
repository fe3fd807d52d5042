package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// passTimeout is how long a backend may take until it begins to answer.
const passTimeout = 30 * time.Second

// toBackends is how the backends are reached.
var toBackends = &http.Transport{ResponseHeaderTimeout: passTimeout, MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute}

// unavailable says why a backend did not respond.
func unavailable(name string, at *url.URL, err error) string {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Sprintf("%s does not run at %s: is the lab up? (make lab-up, make compose-up)", name, at)
	}
	return fmt.Sprintf("%s does not respond at %s: %v", name, at, err)
}

// passOn serves a backend's API: paths below api, without the prefix in front of it. With
// only, no others than those, or, where they end in a slash, what is below them.
func passOn(backend *url.URL, prefix, api, name string, only ...string) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, prefix)
			r.Out.URL.RawPath = strings.TrimPrefix(r.In.URL.RawPath, prefix)
			r.SetURL(backend)
			r.Out.Header.Del("Cookie")
		},
		// The headers are ours, the backend's say other things.
		ModifyResponse: func(r *http.Response) error {
			for name := range r.Header {
				if !slices.Contains([]string{"Content-Type", "Content-Length", "Content-Encoding", "Vary"}, name) {
					r.Header.Del(name)
				}
			}
			r.Header.Set("Cache-Control", "no-store")
			return nil
		},
		Transport: toBackends,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			fail(w, http.StatusBadGateway, unavailable(name, backend, err))
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		what := strings.TrimPrefix(r.URL.Path, prefix+api)
		allowed := len(only) == 0 || slices.ContainsFunc(only, func(o string) bool {
			return what == o || strings.HasSuffix(o, "/") && strings.HasPrefix(what, o)
		})
		// Decoded, a path can hold what leads out of the API.
		leads := slices.ContainsFunc(strings.Split(what, "/"), func(part string) bool { return part == "." || part == ".." })
		if !allowed || leads {
			fail(w, http.StatusNotFound, "no such resource")
			return
		}
		proxy.ServeHTTP(w, r)
	})
}
