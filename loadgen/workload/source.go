package workload

import (
	"net/http"
	"net/url"
	"strings"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/internal/httpheader"
	"soundcheck/loadgen/schedule"
)

// Workload is what a run sends: the requests of one of these.
type Workload struct {
	Mix       Mix             // made up, to an album service
	Targets   []vegeta.Target // in turn; see ReadTargets
	Recording *Recording      // as they were sent before
}

// Scenarios returns the names of the scenarios that requests can be of.
func (w Workload) Scenarios() (names []string) {
	switch {
	case w.Recording != nil:
		return w.Recording.scenarios
	case len(w.Targets) > 0:
		return []string{ownTarget.Name}
	}
	for name, weight := range w.Mix {
		if weight > 0 {
			names = append(names, name)
		}
	}
	return names
}

// Request is one request, before it is sent. It is not changed once it is made.
type Request struct {
	Scenario *Scenario
	Method   string
	Path     string // with the query, behind the service's URL; of targets the whole URL
	Header   http.Header
	Body     []byte

	want   int      // HTTP status
	url    *url.URL // of a target
	number uint64   // in the plan
}

// Expects reports whether a status, 0 if no response came, is what the request is meant to
// get: of a target any from 200 to 399.
func (r *Request) Expects(status int) bool {
	if r.Scenario == ownTarget {
		return status >= 200 && status < 400
	}
	return status == r.want
}

// Operation is what the request's span is called.
func (r *Request) Operation() string {
	if r.Scenario.Operation != "" {
		return r.Scenario.Operation
	}
	return r.Method
}

// URL returns the address of the request at a service.
func (r *Request) URL(base *url.URL) (*url.URL, error) {
	switch {
	case r.url != nil:
		return r.url, nil
	case r.Scenario == ownTarget:
		return url.Parse(r.Path)
	case base.RawPath != "" || strings.ContainsAny(r.Path, "?%#"):
		return url.Parse(base.String() + r.Path)
	}
	u := *base
	u.Path += r.Path
	return &u, nil
}

// Source makes the requests of one run. Its methods are called from many goroutines.
type Source struct {
	Workload
	makers []*maker   // by arm; none: requests are not made up
	urls   []*url.URL // of Targets
}

// NewSource returns the requests of a run on one target or, with more arms, several. The
// made-up ones follow from the seed.
func (w Workload) NewSource(seed uint64, arms int) (*Source, error) {
	s := &Source{Workload: w}
	for _, target := range w.Targets {
		u, err := url.Parse(target.URL)
		if err != nil {
			return nil, err
		}
		s.urls = append(s.urls, u)
	}
	if w.Recording == nil && len(w.Targets) == 0 {
		for range arms { // the ids and pages of one target are not those of another
			s.makers = append(s.makers, newMaker(w.Mix, seed))
		}
	}
	return s, nil
}

// Request returns request seq of this process, which the pacer picked for one of the arms.
func (s *Source) Request(seq uint64, p schedule.Pick) (*Request, error) {
	switch {
	case s.Recording != nil:
		return s.Recording.entries[seq%schedule.Window].request(), nil
	case len(s.Targets) > 0:
		i := p.Number % uint64(len(s.Targets))
		t := &s.Targets[i]
		return &Request{Scenario: ownTarget, Method: t.Method, Path: t.URL, Header: t.Header, Body: t.Body, url: s.urls[i]}, nil
	}
	return s.makers[p.Arm].make(p.Number)
}

// Learn takes in what a response says of the requests to come to a service.
func (s *Source) Learn(arm int, base *url.URL, r *Request, resp *http.Response) {
	if len(s.makers) == 0 {
		return
	}
	m := s.makers[arm]
	switch {
	case resp.StatusCode == http.StatusCreated && r.Scenario.Name == "create":
		m.ids.add(resp.Header.Get("Location"))
	case resp.StatusCode == http.StatusOK && r.Scenario.Name == "page":
		if next := httpheader.NextPage(resp.Header); next != "" {
			// Behind the service's URL, which may have a path.
			if page := strings.TrimPrefix(next, base.Path); isPath(page) {
				m.pages.add(page)
			}
		}
	}
}

func isPath(s string) bool {
	_, err := url.Parse(s)
	return err == nil && strings.HasPrefix(s, "/")
}
