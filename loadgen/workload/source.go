package workload

import (
	"net/http"
	"net/url"
	"strings"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/internal/httpheader"
	"soundcheck/loadgen/schedule"
)

// Workload is the source of a run's requests: one of these.
type Workload struct {
	Mix       Mix             // generated, to an album service
	Targets   []vegeta.Target // round robin; see ReadTargets
	Recording *Recording      // replayed
}

// Scenarios returns the names of the scenarios of the workload.
func (w Workload) Scenarios() (names []string) {
	switch {
	case w.Recording != nil:
		return w.Recording.scenarios
	case len(w.Targets) > 0:
		return []string{targetScenario.Name}
	}
	for name, weight := range w.Mix {
		if weight > 0 {
			names = append(names, name)
		}
	}
	return names
}

// Request is a request before it is sent. It is immutable.
type Request struct {
	Scenario *Scenario
	Method   string
	Path     string // with the query, relative to the service's URL; of a target the full URL
	Header   http.Header
	Body     []byte

	want     int      // expected HTTP status
	url      *url.URL // of a target
	redacted string   // url without a password
	number   uint64   // in the plan
}

// Redacted returns the request's URL at a service without a password.
func (r *Request) Redacted(base *url.URL) string {
	if r.redacted != "" {
		return r.redacted
	}
	u, err := r.URL(base)
	if err != nil {
		return "" // it cannot be sent
	}
	return u.Redacted()
}

// Expects reports whether a status (0: no response) is expected: for a target 200 to 399.
func (r *Request) Expects(status int) bool {
	if r.Scenario == targetScenario {
		return status >= 200 && status < 400
	}
	return status == r.want
}

// Operation returns the name of the request's span.
func (r *Request) Operation() string {
	if r.Scenario.Operation != "" {
		return r.Scenario.Operation
	}
	return r.Method
}

// URL returns the request's URL at a service.
func (r *Request) URL(base *url.URL) (*url.URL, error) {
	switch {
	case r.url != nil:
		return r.url, nil
	case base.RawPath != "" || strings.ContainsAny(r.Path, "?%#"):
		return url.Parse(base.String() + r.Path)
	}
	u := *base
	u.Path += r.Path
	return &u, nil
}

// At returns the URL of the request's service: base, or of a target its own URL.
func (r *Request) At(base *url.URL) *url.URL {
	if r.url != nil {
		return r.url
	}
	return base
}

// AppendURI appends the path and query of the request's URL at a service, as sent.
func (r *Request) AppendURI(b []byte, base *url.URL) ([]byte, error) {
	if r.url == nil && !strings.ContainsFunc(r.Path, needsParsing) {
		return append(append(b, base.EscapedPath()...), r.Path...), nil
	}
	u, err := r.URL(base)
	if err != nil {
		return b, err
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	b = append(b, path...)
	if u.ForceQuery || u.RawQuery != "" {
		b = append(append(b, '?'), u.RawQuery...)
	}
	return b, nil
}

// needsParsing reports whether a character may not be in a path or query as it is.
func needsParsing(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune("\"#%<>[\\]^`{|}", r)
}

// Source makes the requests of one run. Its methods are called from many goroutines.
type Source struct {
	Workload
	makers  []*maker   // by arm; empty: requests are not generated
	targets []*Request // of Targets
}

// NewSource returns the requests of a run with one or, with more arms, several services.
// Generated requests depend on the seed.
func (w Workload) NewSource(seed uint64, arms int) (*Source, error) {
	s := &Source{Workload: w}
	for _, target := range w.Targets {
		u, err := url.Parse(target.URL)
		if err != nil {
			return nil, err
		}
		s.targets = append(s.targets, &Request{Scenario: targetScenario, Method: target.Method, Path: target.URL, Header: target.Header, Body: target.Body, url: u, redacted: u.Redacted()})
	}
	if w.Recording == nil && len(w.Targets) == 0 {
		for range arms { // ids and pages are per service
			s.makers = append(s.makers, newMaker(w.Mix, seed))
		}
	}
	return s, nil
}

// Request returns request seq of this process for the arm that the pacer picked.
func (s *Source) Request(seq uint64, p schedule.Pick) (*Request, error) {
	switch {
	case s.Recording != nil:
		return s.Recording.entries[seq%schedule.Window].request()
	case len(s.Targets) > 0:
		return s.targets[p.Number%uint64(len(s.targets))], nil
	}
	return s.makers[p.Arm].make(p.Number)
}

// Learns returns the name of the response header from which Learn learns; "": from none.
func (r *Request) Learns() string {
	switch r.Scenario.Name {
	case "create":
		return "Location"
	case "page":
		return "Link"
	}
	return ""
}

// Learn stores ids and next pages of a response, for later requests to the service. Of its headers it
// needs that of Learns.
func (s *Source) Learn(arm int, base *url.URL, r *Request, status int, h http.Header) {
	if len(s.makers) == 0 {
		return
	}
	m := s.makers[arm]
	switch {
	case status == http.StatusCreated && r.Scenario.Name == "create":
		m.ids.add(h.Get("Location"))
	case status == http.StatusOK && r.Scenario.Name == "page":
		if next := httpheader.NextPage(h); next != "" {
			// Relative to the service's URL, which may have a path.
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
