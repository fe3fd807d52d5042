package flow

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/loadgen/targets"
)

// Step is a request of a flow, with what is read of its response. It is immutable.
type Step struct {
	Name      string
	Operation string // method and URL template, as in GET /albums/{id}
	Expect    string // expected statuses, as in 200,404; "": 200 to 399

	target       vegeta.Target
	link         string            // variable that is the whole URL; "": none
	follows      bool              // link is of a response
	template     *targets.Template // nil: no placeholders
	condition    *expression       // nil: always sent
	repeat       int
	think        Think
	carryOn      bool // after a failure
	extracts     []extract
	checks       []expression
	uses         visitor  // variables
	placeholders []string // in the request
}

// statuses matches what a step expects.
var statuses = regexp.MustCompile(`^[1-5](\d\d|xx)(,[1-5](\d\d|xx))*$`)

// expression is a compiled expression.
type expression struct {
	text    string
	program *vm.Program
	uses    visitor
}

// Full returns the URL of the step, with placeholders; "": it is relative to that of the service.
func (s *Step) Full() string {
	if strings.HasPrefix(s.target.URL, "/") {
		return ""
	}
	return s.target.URL
}

// Reads reports whether the step reads its response.
func (s *Step) Reads() bool { return len(s.extracts)+len(s.checks) > 0 }

// methods are the fields of a step with a URL.
func (s *stepFile) methods() []([2]string) {
	return [][2]string{{"GET", s.Get}, {"HEAD", s.Head}, {"POST", s.Post}, {"PUT", s.Put}, {"PATCH", s.Patch}, {"DELETE", s.Delete}, {s.Method, s.URL}}
}

// request returns the method and the URL of a step.
func (s *stepFile) request() (method, address string, err error) {
	for _, m := range s.methods() {
		switch {
		case m[0] == "" && m[1] == "" || m[0] != "" && m[1] == "" && m[0] != s.Method:
			continue
		case m[0] == "" || m[1] == "":
			return "", "", errors.New("method and url go together")
		case method != "":
			return "", "", errors.New("two requests: a step has one of get, head, post, put, patch, delete, or method and url")
		}
		method, address = m[0], m[1]
	}
	if method == "" {
		return "", "", errors.New("no request: a step has one of get, head, post, put, patch, delete, or method and url")
	}
	return method, address, nil
}

func (f *Flow) newStep(c *stepFile, think Think, place string, open func(string) ([]byte, error)) (*Step, error) {
	s := &Step{Name: c.Name, repeat: 1, think: think, carryOn: c.Continue, uses: visitor{}}
	method, address, err := c.request()
	if err != nil {
		return nil, at(place, err)
	}
	if err := s.setRequest(f, c, method, address, place, open); err != nil {
		return nil, err
	}
	if c.Expect != nil {
		s.Expect = strings.ReplaceAll(fmt.Sprint(c.Expect), " ", "")
		if list, ok := c.Expect.([]any); ok {
			s.Expect = strings.ReplaceAll(strings.Trim(fmt.Sprint(list), "[]"), " ", ",")
		}
		if !statuses.MatchString(s.Expect) {
			return nil, at(place+".expect", fmt.Errorf("expect: %q are not statuses (100 to 599) or classes (1xx to 5xx), as in 200,204 or 2xx", s.Expect))
		}
	}
	if c.Think != "" {
		if err := s.think.Set(c.Think); err != nil {
			return nil, at(place+".think", err)
		}
	}
	if c.Repeat != nil {
		if s.repeat = *c.Repeat; s.repeat < 1 || s.repeat > maxRepeat {
			return nil, at(place+".repeat", fmt.Errorf("repeat %d is out of range: 1 to %d", s.repeat, maxRepeat))
		}
	}
	if c.If != "" {
		x, err := s.expression(f, c.If, "status", "header", "body", "json")
		if err != nil {
			return nil, at(place+".if", fmt.Errorf("if: %w", err))
		}
		s.condition = x
	}
	for i, item := range c.Extract {
		name := fmt.Sprint(item.Key)
		x, err := newExtract(name, item.Value)
		if err == nil && !f.extracted(name) {
			err = f.variable(name)
		}
		if err != nil {
			return nil, at(fmt.Sprintf("%s.extract.%s", place, name), fmt.Errorf("extract %s: %w", name, err))
		}
		if slices.ContainsFunc(s.extracts[:i], func(o extract) bool { return o.name == name }) {
			return nil, at(place+".extract", fmt.Errorf("extract %s appears twice", name))
		}
		s.extracts = append(s.extracts, x)
	}
	for i, text := range c.Check {
		x, err := s.expression(f, text)
		if err != nil {
			return nil, at(fmt.Sprintf("%s.check[%d]", place, i), fmt.Errorf("check: %w", err))
		}
		s.checks = append(s.checks, *x)
	}
	return s, nil
}

// extracted reports whether an earlier step extracts a variable.
func (f *Flow) extracted(name string) bool {
	return slices.ContainsFunc(f.Steps, func(s *Step) bool {
		return slices.ContainsFunc(s.extracts, func(x extract) bool { return x.name == name })
	})
}

// setRequest makes the template of the request.
func (s *Step) setRequest(f *Flow, c *stepFile, method, address, place string, open func(string) ([]byte, error)) error {
	header := http.Header{}
	for _, name := range sortedKeys(c.Headers) {
		if strings.EqualFold(name, "traceparent") || strings.EqualFold(name, "tracestate") {
			return at(place+".headers", fmt.Errorf("headers: %s: each user has a trace of the flow", name))
		}
		h, err := targets.ParseHeaders([]string{name + ": " + c.Headers[name]})
		if err != nil {
			return at(place+".headers", fmt.Errorf("headers: %w", err))
		}
		for key, values := range h {
			key = http.CanonicalHeaderKey(key)
			if len(header[key]) > 0 {
				return at(place+".headers", fmt.Errorf("headers: %s appears twice", key))
			}
			header[key] = values
		}
	}
	body, contentType, err := f.body(c, open)
	if err != nil {
		return at(place, err)
	}
	if contentType != "" && len(header["Content-Type"]) == 0 {
		header["Content-Type"] = []string{contentType}
	}
	o := targets.Options{Header: header, Data: f.row()}
	var t vegeta.Target
	address = placeholder.ReplaceAllStringFunc(address, func(p string) string { return "{{" + strings.TrimSpace(p[2:len(p)-2]) + "}}" })
	whole := placeholder.FindString(address) == address
	if whole { // checked when its value is known
		s.link = strings.TrimSpace(strings.Trim(address, "{}"))
		s.follows = f.extracted(s.link)
		if !slices.Contains(f.columns, s.link) {
			return at(place, f.row().Unknown(s.link))
		}
		address = "/"
	}
	switch {
	case strings.HasPrefix(address, "/"):
		t, err = o.NewPath(method, address, body)
	case !strings.Contains(address, "://"):
		err = fmt.Errorf("%q is not a path or a full URL: a path begins with /", address)
	default:
		t, err = o.New(method, address, body)
	}
	if err != nil {
		return at(place, err)
	}
	s.target = t
	if s.template, err = targets.NewTemplate(&t, o.Data); err != nil {
		return at(place, err)
	}
	s.placeholders = o.Data.Used()
	if s.link != "" {
		s.placeholders = append(s.placeholders, s.link)
	}
	for _, name := range s.placeholders {
		s.uses[name] = true
	}
	path := address
	if u, err := url.Parse(address); err == nil {
		path = u.Path
	}
	path, _, _ = strings.Cut(path, "?")
	if s.link != "" {
		path = "{{" + s.link + "}}"
	}
	s.Operation = method + " " + strings.NewReplacer("{{", "{", "}}", "}", " ", "").Replace(path)
	return nil
}

// row returns the variables so far, as data without rows.
func (f *Flow) row() *targets.Data { return targets.NewVariables(slices.Clone(f.columns)) }

// body returns the body of a step, with placeholders, and its Content-Type.
func (f *Flow) body(c *stepFile, open func(string) ([]byte, error)) ([]byte, string, error) {
	n := 0
	for _, is := range []bool{c.Body != "", c.JSON != nil, c.Form != nil} {
		if is {
			n++
		}
	}
	if n > 1 {
		return nil, "", errors.New("more than one of body, json and form")
	}
	switch {
	case c.JSON != nil:
		b, err := f.jsonBody(c.JSON)
		return b, "application/json", err
	case c.Form != nil:
		var parts []string
		for _, item := range c.Form {
			v, ok := valueOf(item.Value)
			if !ok {
				return nil, "", fmt.Errorf("form: %v is not a string, a number, true, false or null", item.Key)
			}
			parts = append(parts, formPart(fmt.Sprint(item.Key))+"="+formPart(v.Text))
		}
		return []byte(strings.Join(parts, "&")), "application/x-www-form-urlencoded", nil
	case strings.HasPrefix(c.Body, "@"):
		b, err := open(c.Body[1:])
		return b, "", err
	}
	return []byte(c.Body), "", nil
}

var placeholder = regexp.MustCompile(`\{\{[^{}]*\}\}`)

// formPart escapes a text for a form, without its placeholders.
func formPart(s string) string {
	var b strings.Builder
	end := 0
	for _, m := range placeholder.FindAllStringIndex(s, -1) {
		b.WriteString(url.QueryEscape(s[end:m[0]]) + s[m[0]:m[1]])
		end = m[1]
	}
	return b.String() + url.QueryEscape(s[end:])
}

// expression compiles an expression, in which some names have no value yet.
func (s *Step) expression(f *Flow, text string, without ...string) (*expression, error) {
	env := types.Map{"status": types.Int, "body": types.String, "json": types.Any, "header": types.TypeOf(http.Header{}.Get)}
	for _, name := range without {
		delete(env, name)
	}
	for _, name := range f.columns {
		env[name] = types.Any
	}
	p, err := expr.Compile(text, expr.Env(env), expr.AsBool())
	if err != nil {
		message, _, _ := strings.Cut(err.Error(), "\n")
		return nil, fmt.Errorf("%s: %s", text, message)
	}
	root := p.Node()
	uses := visitor{}
	ast.Walk(&root, uses)
	maps.Copy(s.uses, uses)
	return &expression{text, p, uses}, nil
}

// visitor collects the names of an expression.
type visitor map[string]bool

// has reports whether an expression uses a name; $env are all.
func (v visitor) has(name string) bool { return v[name] || v["$env"] }

// Visit implements ast.Visitor.
func (v visitor) Visit(n *ast.Node) {
	if x, ok := (*n).(*ast.IdentifierNode); ok {
		v[x.Value] = true
	}
}

// holds reports whether an expression is true for a user.
func (x *expression) holds(env map[string]any) (bool, error) {
	v, err := expr.Run(x.program, env)
	if err != nil {
		message, _, _ := strings.Cut(err.Error(), "\n")
		return false, errors.New(message)
	}
	return v.(bool), nil // AsBool
}
