package contract

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"soundcheck/loadgen/contract/values"
)

// Request is a request of an operation.
type Request struct {
	Operation *Operation
	Invalid   string // how it violates the contract; "": it is valid
	Reason    string // why the contract rejects it
	Path      string // with the query
	Header    http.Header
	Body      []byte
	// Unknown is true if no response had a value for a parameter of the path.
	Unknown bool

	path []string // values of the path's parameters
	used []id     // of them
}

// draft is a request before it is encoded.
type draft struct {
	o        *Operation
	v        *values.Values
	sent     []bool // by parameter
	values   []any
	raw      []string // in place of values: what is broken
	learned  []string // of the path's first parameters
	used     []id
	body     any
	hasBody  bool
	content  []byte // in place of body
	kind     string // in place of the content type
	rawQuery string // in place of the query
}

var errNoValue = errors.New("no valid value was found")

// attempts is how many values are generated until one is valid.
const attempts = 10

// draft makes a valid request, without its encoding.
func (c *Contract) draft(o *Operation, v *values.Values, learned []string, used []id) (*draft, error) {
	d := &draft{o: o, v: v, sent: make([]bool, len(o.params)), values: make([]any, len(o.params)), raw: make([]string, len(o.params)), learned: learned, used: used}
	for i, p := range o.params {
		wanted := p.Required || v.Optional == values.All || v.Optional == values.Some && v.Chance(2)
		if p.Off || !wanted || p.Opaque || p.Index >= 0 && p.Index < len(learned) {
			continue
		}
		x, ok := v.Param(p, c.options(o))
		if !ok && p.Required {
			return nil, fmt.Errorf("parameter %s: %w", p.Name, errNoValue)
		}
		d.sent[i], d.values[i] = ok, x
	}
	if o.body == nil {
		return d, nil
	}
	options := append(c.options(o), openapi3.VisitAsRequest())
	check := func(x any) bool {
		content, _, err := o.body.Encode(x, v)
		return err == nil && (len(content) > 0 || !o.body.Required)
	}
	v.InBody = true
	defer func() { v.InBody = false }()
	if d.body, d.hasBody = v.Valid(o.body.Node, o.body.Media.Schema, check, options...); !d.hasBody && o.body.Required {
		return nil, fmt.Errorf("request body: %w", errNoValue)
	}
	return d, nil
}

// options are those of validation.
func (c *Contract) options(o *Operation) []openapi3.SchemaValidationOption {
	list := []openapi3.SchemaValidationOption{openapi3.FailFast()}
	if o.modern {
		list = append(list, openapi3.EnableJSONSchema2020())
	}
	return list
}

// encode returns the request of a draft.
func (d *draft) encode() (*Request, error) {
	o := d.o
	r := &Request{Operation: o, Header: http.Header{}, path: make([]string, len(o.path.names)), used: d.used}
	copy(r.path, d.learned)
	var query []values.Pair
	var cookies []string
	for i, p := range o.params {
		if !d.sent[i] {
			continue
		}
		text, pairs, ok := d.raw[i], []values.Pair{{Name: p.Name, Value: d.raw[i]}}, true
		if text == "" {
			text, pairs, ok = p.Encode(d.values[i])
		}
		if !ok {
			return nil, fmt.Errorf("parameter %s cannot be encoded", p.Name)
		}
		switch p.In {
		case openapi3.ParameterInPath:
			if p.Index >= 0 {
				r.path[p.Index] = text
			}
		case openapi3.ParameterInQuery:
			query = append(query, pairs...)
		case openapi3.ParameterInHeader:
			r.Header[http.CanonicalHeaderKey(p.Name)] = []string{text}
		case openapi3.ParameterInCookie:
			cookies = append(cookies, p.Name+"="+text)
		}
	}
	if slices.Contains(r.path, "") {
		return nil, fmt.Errorf("parameter %s of the path has no value", o.path.names[slices.Index(r.path, "")])
	}
	r.Path = o.path.render(r.path)
	if q := cmp.Or(d.rawQuery, values.QueryOf(query)); q != "" {
		r.Path += "?" + q
	}
	if len(cookies) > 0 {
		r.Header["Cookie"] = []string{strings.Join(cookies, "; ")}
	}
	if o.accept != "" {
		r.Header["Accept"] = []string{o.accept}
	}
	kind := ""
	if d.hasBody {
		var err error
		if r.Body, kind, err = o.body.Encode(d.body, d.v); err != nil {
			return nil, err
		}
	}
	if d.content != nil {
		r.Body = d.content
	}
	if kind = cmp.Or(d.kind, kind); kind != "" {
		r.Header["Content-Type"] = []string{kind}
	}
	return r, nil
}

// validate returns an error if kin-openapi rejects a request.
func (c *Contract) validate(r *Request) error {
	o := r.Operation
	path, query, _ := strings.Cut(r.Path, "?")
	q := &http.Request{Method: o.Method, URL: &url.URL{Path: path, RawQuery: query}, Header: r.Header.Clone(), Body: http.NoBody}
	if len(r.Body) > 0 {
		q.Body, q.ContentLength = io.NopCloser(strings.NewReader(string(r.Body))), int64(len(r.Body))
	}
	params := map[string]string{}
	for i, name := range o.path.names {
		params[name] = r.path[i]
	}
	return openapi3filter.ValidateRequest(q.Context(), &openapi3filter.RequestValidationInput{Request: q, PathParams: params,
		Route:   &routers.Route{Spec: c.spec(o.modern), Path: o.Path, PathItem: new(openapi3.PathItem), Method: o.Method, Operation: o.requested},
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true}})
}

// prepare makes the plan of an operation, and tests it.
func (c *Contract) prepare(o *Operation, item *openapi3.PathItem) error {
	if len(item.Servers) > 0 || o.op.Servers != nil && len(*o.op.Servers) > 0 {
		c.note(o.Name, "servers of its own are not used")
	}
	for _, list := range []openapi3.Parameters{o.op.Parameters, item.Parameters} {
		for _, ref := range list {
			p := ref.Value
			if slices.ContainsFunc(o.params, func(q *values.Param) bool { return q.Name == p.Name && q.In == p.In }) {
				continue // of the path, and the operation has its own
			}
			q, err := values.NewParam(p, c.compiler)
			switch {
			case err != nil && p.Required:
				return err
			case err != nil:
				c.note(o.Name, "%v: it is not sent", err)
				continue
			}
			if p.In == openapi3.ParameterInPath {
				q.Index = slices.Index(o.path.names, p.Name)
			}
			o.params = append(o.params, q)
		}
	}
	var err error
	if o.body, err = values.NewBody(o.op.RequestBody, c.compiler); err != nil {
		return err
	}
	if c.modern {
		schemas := map[string]*openapi3.SchemaRef{}
		for _, p := range o.params {
			schemas["parameter "+p.Name] = p.Schema
		}
		if o.body != nil {
			schemas["request body"] = o.body.Media.Schema
		}
		o.modern = c.isModern(o.Name, schemas)
	}
	c.prepareResponses(o)
	return c.test(o)
}

// request takes what of an operation is sent: kin-openapi rejects some parameters even if they are absent.
func (o *Operation) request() {
	requested := *o.op
	requested.Parameters = nil
	for _, p := range o.params {
		if !p.Off {
			requested.Parameters = append(requested.Parameters, &openapi3.ParameterRef{Value: p.Parameter})
		}
	}
	if o.body == nil {
		requested.RequestBody = nil
	}
	o.requested = &requested
}

// testSeed is the seed of test requests.
const testSeed = 1 << 40

// test makes requests of an operation. An optional parameter that does not become valid is not sent.
func (c *Contract) test(o *Operation) error {
	o.request()
	for n := range uint64(8) {
		g := values.Some
		switch n {
		case 0:
			g = values.None
		case 1:
			g = values.All
		}
		for { // each time with one parameter less
			_, _, err := c.make(o, values.New(testSeed, n, g), nil, nil)
			if err == nil {
				break
			}
			rejected := (*openapi3filter.RequestError)(nil)
			if !errors.As(err, &rejected) || rejected.Parameter == nil || rejected.Parameter.Required {
				return short(err)
			}
			i := slices.IndexFunc(o.params, func(p *values.Param) bool { return p.Parameter == rejected.Parameter })
			o.params[i].Off = true
			o.request()
			c.note(o.Name, "parameter %s is not sent: %v", o.params[i].Name, short(err))
		}
	}
	_, err := c.invalid(o, values.New(testSeed, 0, values.All), nil)
	o.breakable = err == nil
	return nil
}

// make makes a valid request. The draft is for one that is broken.
func (c *Contract) make(o *Operation, v *values.Values, learned []string, used []id) (*Request, *draft, error) {
	var failed error
	for range attempts {
		d, err := c.draft(o, v, learned, used)
		if err != nil {
			return nil, nil, err
		}
		r, err := d.encode()
		if err != nil {
			failed = err
			continue
		}
		if err := c.validate(r); err != nil {
			failed = err
			continue
		}
		return r, d, nil
	}
	return nil, nil, failed
}
