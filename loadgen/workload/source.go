package workload

import (
	"net/http"
	"net/url"
	"strings"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/httpheader"
	"soundcheck/loadgen/contract"
	"soundcheck/loadgen/flow"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/targets"
)

// Workload is the source of a run's requests: one of Mix, Contract, Targets, Stream, Recording and Flow.
type Workload struct {
	Mix       Mix                // generated, to an album service; with a Contract, of its operations
	Contract  *contract.Contract // generated from an OpenAPI document
	Invalid   float64            // share of requests that violate the Contract
	Targets   []vegeta.Target    // round robin; see package targets. A URL that begins with / is of the run's service
	Data      *targets.Data      // values of the placeholders in Targets; nil: none
	Stream    *Stream            // sent while they are read
	Recording *Recording         // replayed
	Flow      *flow.Flow         // of users, with several requests each
	EachOnce  bool               // the run ends with the targets

	Notices []string // what a person should know before the run

	Header http.Header  // of each request of Mix or Recording, in place of those of the same name
	Expect Expectations // nil: statuses of the scenarios
}

// Album reports whether the requests are those of the album API.
func (w Workload) Album() bool {
	return len(w.Targets) == 0 && w.Stream == nil && w.Flow == nil && w.Contract == nil && (w.Recording == nil || w.Recording.album)
}

// Scenarios returns the names of the scenarios of the workload.
func (w Workload) Scenarios() (names []string) {
	switch {
	case w.Recording != nil:
		return w.Recording.scenarios
	case w.Flow != nil:
		for _, s := range w.Flow.Steps {
			names = append(names, s.Name)
		}
		return names
	case len(w.Targets) > 0 || w.Stream != nil:
		return []string{targetScenario.Name}
	case w.Contract != nil:
		return w.Contract.Scenarios(w.Mix, w.Invalid)
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
	Parent   *trace.SpanContext // trace context that the request brings; nil: none

	// Reads is what Source.Respond reads of a response.
	Reads Reads

	want   int                     // expected HTTP status
	expect *Statuses               // in place of want; nil: want
	check  func(Response) *Failure // of a flow's step; nil: none
	url    *url.URL                // of a target
	plain  string                  // url without user and password
	number uint64                  // in the plan

	generated *contract.Request // from a contract
}

// Plain returns the text of a URL without its user and password.
func Plain(u *url.URL) string {
	if u.User == nil {
		return u.String()
	}
	without := *u
	without.User = nil
	return without.String()
}

// Plain returns the request's URL at a service without user and password.
func (r *Request) Plain(base *url.URL) string {
	if r.plain != "" {
		return r.plain
	}
	u, err := r.URL(base)
	if err != nil {
		return "" // it cannot be sent
	}
	return Plain(u)
}

// Expects reports whether a status (0: no response) is expected: for a target 200 to 399, unless it has
// its own.
func (r *Request) Expects(status int) bool {
	switch {
	case r.expect != nil:
		return r.expect.Has(status)
	case r.generated != nil:
		return r.generated.Expects(status)
	case r.Scenario == targetScenario:
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

// full reports whether the path is a full URL.
func (r *Request) full() bool { return !strings.HasPrefix(r.Path, "/") }

// Source makes the requests of one run. Its methods are called from many goroutines.
type Source struct {
	Workload
	makers  []*maker   // by arm; empty: requests are not generated
	targets []prepared // of Targets
	steps   map[*flow.Step]prepared

	generators []*contract.Generator // by arm, of Contract
	scenarios  map[string]*Scenario  // of Contract
}

// prepared is a target, ready to be sent.
type prepared struct {
	request  *Request          // of a target without placeholders
	template *targets.Template // nil: without
	expect   *Statuses
	scenario *Scenario
}

// NewSource returns the requests of a run with one or, with more arms, several services.
// Generated requests depend on the seed.
func (w Workload) NewSource(seed uint64, arms int) (*Source, error) {
	s := &Source{Workload: w}
	for i := range w.Targets {
		p, err := prepare(&w.Targets[i], w.Data, w.Expect)
		if err != nil {
			return nil, err
		}
		s.targets = append(s.targets, p)
	}
	if err := s.prepareFlow(); err != nil {
		return nil, err
	}
	switch {
	case w.Recording != nil:
	case w.Contract != nil:
		s.generate(seed, arms)
	case w.Album():
		for range arms { // ids and pages are per service
			s.makers = append(s.makers, newMaker(w.Mix, seed))
		}
	}
	return s, nil
}

func prepare(t *vegeta.Target, d *targets.Data, e Expectations) (p prepared, err error) {
	p.expect, p.scenario = e.of(targetScenario.Name), targetScenario
	if p.template, err = targets.NewTemplate(t, d); err == nil && p.template == nil {
		p.request, err = p.ofTarget(t)
	}
	return p, err
}

// ofTarget returns the request of a target.
func (p prepared) ofTarget(t *vegeta.Target) (*Request, error) {
	r := &Request{Scenario: p.scenario, Method: t.Method, Path: t.URL, Header: t.Header, Body: t.Body, Parent: targets.Parent(t.Header), expect: p.expect}
	if !r.full() {
		return r, nil
	}
	var err error
	if r.url, err = url.Parse(t.URL); err == nil {
		r.plain = Plain(r.url)
	}
	return r, err
}

// numbered returns the request with row n.
func (p prepared) numbered(n uint64) (*Request, error) {
	if p.template == nil {
		return p.request, nil
	}
	t := p.template.Render(n)
	return p.ofTarget(&t)
}

// Request returns request seq of this process for the arm that the pacer picked.
func (s *Source) Request(seq uint64, p schedule.Pick) (*Request, error) {
	switch {
	case len(s.targets) > 0:
		return s.targets[p.Number%uint64(len(s.targets))].numbered(p.Number)
	case s.Stream != nil:
		at := &s.Stream.window[seq%schedule.Window]
		x := *at
		*at = item{} // for the garbage collector: the caller has it
		return x.numbered(x.number)
	}
	var r *Request
	var err error
	switch {
	case s.Recording != nil:
		r, err = s.Recording.entries[seq%schedule.Window].request()
	case len(s.generators) > 0:
		r, err = s.generated(p)
	default:
		if r, err = s.makers[p.Arm].make(p.Number); err == nil {
			r.Reads.Header = r.Scenario.Name == "create" || r.Scenario.Name == "page"
		}
	}
	if err != nil {
		return nil, err
	}
	r.Header = targets.Override(r.Header, s.Header)
	r.Parent = targets.Parent(r.Header)
	if expect := s.Expect.of(r.Scenario.Name); expect != nil {
		r.expect = expect
	}
	return r, nil
}

// Respond takes a complete response to a request: it stores ids and next pages for later requests to the
// service, and checks the response. Of the response it needs what the request reads.
func (s *Source) Respond(arm int, base *url.URL, r *Request, resp Response) *Failure {
	switch {
	case r.generated != nil:
		return s.check(arm, base, r, resp)
	case r.check != nil:
		return r.check(resp)
	case len(s.makers) == 0:
		return nil
	}
	m := s.makers[arm]
	switch {
	case resp.Status == http.StatusCreated && r.Scenario.Name == "create":
		m.ids.add(resp.Header.Get("Location"))
	case resp.Status == http.StatusOK && r.Scenario.Name == "page":
		if next := httpheader.NextPage(resp.Header); next != "" {
			// Relative to the service's URL, which may have a path.
			if page := strings.TrimPrefix(next, base.Path); isPath(page) {
				m.pages.add(page)
			}
		}
	}
	return nil
}

// isPath reports whether a path can be requested, and read from a recording.
func isPath(s string) bool {
	return strings.HasPrefix(s, "/") && targets.CheckURL("http://service"+s) == nil
}
