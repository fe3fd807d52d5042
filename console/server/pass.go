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

// passTimeout is the timeout for a backend's response headers.
const passTimeout = 30 * time.Second

// toBackends is the transport to the backends.
var toBackends = &http.Transport{ResponseHeaderTimeout: passTimeout, MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute}

// unavailable describes why a backend did not respond.
func unavailable(name string, at *url.URL, err error) string {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Sprintf("%s is down at %s: is the lab up? (make lab-up, make compose-up)", name, at)
	}
	return fmt.Sprintf("%s does not respond at %s: %v", name, at, err)
}

// passOn proxies a backend's API: paths below api, without the prefix. With
// only, it allows just those paths, or, for those that end in a slash, paths below them.
func passOn(backend *url.URL, prefix, api, name string, only ...string) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, prefix)
			r.Out.URL.RawPath = strings.TrimPrefix(r.In.URL.RawPath, prefix)
			r.SetURL(backend)
			r.Out.Header.Del("Cookie")
		},
		// Keep few of the backend's headers; security headers are ours.
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
		// A decoded path can have segments that leave the API.
		leads := slices.ContainsFunc(strings.Split(what, "/"), func(part string) bool { return part == "." || part == ".." })
		if !allowed || leads {
			fail(w, http.StatusNotFound, "no such resource")
			return
		}
		proxy.ServeHTTP(w, r)
	})
}
