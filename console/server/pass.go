package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"soundcheck/lab/supervisor"
)

// passTimeout is the timeout for a backend's response headers.
const passTimeout = 30 * time.Second

// toBackends is the transport to the backends.
var toBackends = &http.Transport{ResponseHeaderTimeout: passTimeout, MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute}

// backend is Prometheus or Jaeger.
type backend struct {
	name  string // for people; in lower case that of the lab's component
	url   *url.URL
	check string // command that checks the containers; "": none
	state string // folder of the lab whose supervisor starts it, unless it runs in containers
}

func (c Config) backend(name string, at *url.URL) backend {
	return backend{name: name, url: at, check: c.check(), state: c.State}
}

// unavailable describes why the backend did not respond.
func (b backend) unavailable(ctx context.Context, err error) string {
	text := fmt.Sprintf("%s does not respond at %s: %v", b.name, b.url, err)
	down := errors.Is(err, syscall.ECONNREFUSED)
	if down {
		text = fmt.Sprintf("%s is down at %s", b.name, b.url)
	}
	switch {
	case b.check != "": // whatever the error is: of a container that has stopped, it may be an unknown host
		return text + "; check the containers with " + b.check
	case !down:
		return text
	}
	if progress := b.starting(ctx); progress != "" {
		return fmt.Sprintf("%s %s; \"go run ./lab status\" shows the progress of the lab", b.name, progress)
	}
	return text + ": is the lab up? (make lab-up)"
}

// starting describes how far the first start of the backend is; "" if it is not being started.
func (b backend) starting(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, labTimeout)
	defer cancel()
	a := ask(ctx, b.state)
	if a.Phase != string(supervisor.Starting) {
		return ""
	}
	for _, p := range a.Status.Components {
		switch {
		case p.Name != strings.ToLower(b.name):
		case p.State == supervisor.Building && p.Done < p.Total-1: // the last one is linked
			return fmt.Sprintf("is being built (%d of %d packages)", p.Done, p.Total)
		case p.State == supervisor.Building:
			return "is being built"
		case p.State == supervisor.Downloading:
			return "is being downloaded"
		case p.State == supervisor.Waiting:
			return "has not started yet"
		case p.State == supervisor.Started:
			return "is starting"
		}
	}
	return ""
}

// passOn proxies the backend's API: paths below api, without the prefix. With
// only, it allows just those paths, or, for those that end in a slash, paths below them.
func (b backend) passOn(prefix, api string, only ...string) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, prefix)
			r.Out.URL.RawPath = strings.TrimPrefix(r.In.URL.RawPath, prefix)
			r.SetURL(b.url)
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
			fail(w, http.StatusBadGateway, b.unavailable(r.Context(), err))
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
