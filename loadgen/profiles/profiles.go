// Package profiles takes CPU profiles of services while a run sends requests.
package profiles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Service is a service with pprof endpoints.
type Service struct{ Name, URL string }

var serviceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)

// maxServices limits the overhead.
const maxServices = 20

// Parse parses name=URL, separated by commas. The URL is that of the server: the endpoints are below
// /debug/pprof.
func Parse(s string) (list []Service, err error) {
	if s == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		name, address, _ := strings.Cut(part, "=")
		u, err := url.Parse(address)
		switch {
		case !serviceName.MatchString(name) || err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
			return nil, fmt.Errorf("%q is not name=URL, as in album-store=http://127.0.0.1:9081", part)
		}
		for _, other := range list {
			if other.Name == name {
				return nil, fmt.Errorf("%s is a duplicate", name)
			}
		}
		list = append(list, Service{name, strings.TrimSuffix(strings.TrimSuffix(address, "/"), "/debug/pprof")})
	}
	if len(list) > maxServices {
		return nil, fmt.Errorf("%d services, at most %d are possible", len(list), maxServices)
	}
	return list, nil
}

// Limits of the duration of a profile. A run has at most about maxWindows of each service.
const (
	minWindow  = 10 * time.Second
	maxWindows = 30
)

// margin is the time for the last profile to arrive before the end of the run.
const margin = 300 * time.Millisecond

// probeTimeout is the timeout of Probe.
const probeTimeout = 5 * time.Second

// maxProfile is the max size of a profile, in bytes.
const maxProfile = 64 << 20

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// Probe returns an error if a service has no pprof endpoints.
func Probe(ctx context.Context, services []Service) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	for _, s := range services {
		if _, err := get(ctx, s.URL+"/debug/pprof/"); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

func get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxProfile+1))
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode != http.StatusOK:
		text, _, _ := strings.Cut(strings.TrimSpace(string(b[:min(len(b), 200)])), "\n")
		return nil, fmt.Errorf("%s: %s: %s", address, resp.Status, text)
	case len(b) > maxProfile:
		return nil, fmt.Errorf("%s: the profile has more than %d bytes", address, maxProfile)
	}
	return b, nil
}

// timeFormat is that of a profile's start in its file name.
const timeFormat = "20060102T150405.000Z"

// File returns the name of the file of a CPU profile.
func File(service string, start time.Time, length time.Duration) string {
	return fmt.Sprintf("cpu-%s-%s-%ds.pb.gz", service, start.UTC().Format(timeFormat), int(length.Seconds()))
}

// Take takes CPU profiles of the services, one after another, until the plan's span is over or ctx ends. It calls store with
// each, and failed once for each service that stops responding with profiles. A profile that ctx ends is lost.
func Take(ctx context.Context, services []Service, start time.Time, span time.Duration, store func(name string, b []byte) error, failed func(service string, err error)) {
	window := max(minWindow, (span / maxWindows).Truncate(time.Second))
	var wg sync.WaitGroup
	for _, s := range services {
		wg.Go(func() {
			select {
			case <-time.After(time.Until(start)):
			case <-ctx.Done():
			}
			for ctx.Err() == nil {
				now := time.Now()
				length := min(window, (start.Add(span).Sub(now) - margin).Truncate(time.Second))
				if length < time.Second {
					return
				}
				b, err := get(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", s.URL, int(length.Seconds())))
				if err == nil {
					err = store(File(s.Name, now, length), b)
				}
				if err != nil && !errors.Is(err, context.Canceled) {
					failed(s.Name, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
