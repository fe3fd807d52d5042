// Package contract makes requests from an OpenAPI document and checks responses against it.
//
// Requests are valid, as kin-openapi validates them, or broken in one way. Request n depends on the seed and n only,
// except for ids and pages that come from responses.
package contract

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"soundcheck/loadgen/contract/values"
)

// Contract is an OpenAPI document with the operations that can be requested.
type Contract struct {
	Name   string // of the file
	Source []byte
	// Files is how many files the document has.
	Files      int
	Operations []*Operation
	notes      []note

	doc      *openapi3.T
	plain    *openapi3.T          // as one of OpenAPI 3.0, for schemas that need no other validator
	pools    map[string]*template // by path without the names of parameters
	compiler *values.Compiler
	modern   bool            // a schema has keywords of JSON Schema 2020-12
	write    map[string]bool // names of properties that only requests have: their values are not shown
	hide     bool            // properties of any name are such: no value is shown
	// unchecked are media types of responses that are not validated.
	unchecked map[string]bool
}

// Operation is an operation that can be requested.
type Operation struct {
	Name   string // operationId, or method and path, without characters that no scenario has
	Method string
	Path   string // template, as in /albums/{id}

	op        *openapi3.Operation
	requested *openapi3.Operation // with the parameters that are sent
	path      *template
	params    []*values.Param
	body      *values.Body
	accept    string
	responses map[string]*response
	learns    []learning
	links     []link
	deletes   bool
	breakable bool
	modern    bool // its requests need the validator of JSON Schema 2020-12
}

// Load reads a document, and those that it refers to.
func Load(path string) (*Contract, error) {
	if strings.Contains(path, "://") {
		return nil, fmt.Errorf("%s is a URL: store the document in a file, as with curl -o openapi.yaml URL", path)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parse(path, source, true)
}

// Parse returns the contract of a document in one file.
func Parse(name string, source []byte) (*Contract, error) { return parse(name, source, false) }

func parse(name string, source []byte, files bool) (*Contract, error) {
	c := &Contract{Name: name, Source: source, pools: map[string]*template{}, unchecked: map[string]bool{}, write: map[string]bool{}, compiler: values.NewCompiler()}
	var err error
	if c.doc, c.Files, err = read(name, source, files); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if c.doc.OpenAPI == "" {
		return nil, fmt.Errorf("%s: no OpenAPI document: the field openapi is missing (Swagger 2.0 is not supported)", name)
	}
	if v := c.doc.OpenAPI + "."; !strings.HasPrefix(v, "3.0.") && !strings.HasPrefix(v, "3.1.") {
		return nil, fmt.Errorf("%s: OpenAPI %s is not supported: 3.0 or 3.1", name, c.doc.OpenAPI)
	}
	c.survey(c.doc)
	if err := c.doc.Validate(context.Background(), openapi3.DisableExamplesValidation(), openapi3.DisableSchemaDefaultsValidation(), openapi3.AllowExtraSiblingFields("description", "summary")); err != nil {
		return nil, fmt.Errorf("%s: %w", name, short(err))
	}
	if c.modern {
		if err := c.separate(files); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	as30 := *c.doc
	as30.OpenAPI = "3.0.3"
	c.plain = &as30
	if err := c.operations(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// short is an error of kin-openapi without the schema and the value, which follow on more lines.
func short(err error) error {
	text, _, _ := strings.Cut(err.Error(), "\nSchema:")
	return errors.New(text)
}

// note is what of the document is not requested or not checked, and why.
type note struct {
	text string
	of   []string // operations; empty: the document
}

// note adds a note about an operation; "": about the document.
func (c *Contract) note(operation, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	i := slices.IndexFunc(c.notes, func(n note) bool { return n.text == text })
	if i < 0 {
		i = len(c.notes)
		c.notes = append(c.notes, note{text: text})
	}
	if operation != "" {
		c.notes[i].of = append(c.notes[i].of, operation)
	}
}

// Notes are what of the document is not requested or not checked, and why.
func (c *Contract) Notes() (list []string) {
	const shown = 3
	for _, n := range c.notes {
		text := n.text
		if more := len(n.of) - shown; more > 0 {
			text = fmt.Sprintf("%s and %d more: %s", strings.Join(n.of[:shown], ", "), more, text)
		} else if len(n.of) > 0 {
			text = strings.Join(n.of, ", ") + ": " + text
		}
		list = append(list, text)
	}
	return list
}

// unnamed are the characters that no scenario has.
var unnamed = regexp.MustCompile(`[^A-Za-z0-9_.]+`)

// operations finds the operations that can be requested.
func (c *Contract) operations() error {
	paths := c.doc.Paths.Map()
	names := map[string]bool{}
	for _, path := range slices.Sorted(mapKeys(paths)) {
		for _, method := range slices.Sorted(mapKeys(paths[path].Operations())) {
			op := paths[path].Operations()[method]
			o := &Operation{Method: method, Path: path, op: op, path: newTemplate(path), deletes: method == http.MethodDelete}
			name := strings.Trim(unnamed.ReplaceAllString(cmp.Or(op.OperationID, method+path), "-"), "-")
			for i := 1; ; i++ {
				if o.Name = name; i > 1 {
					o.Name = fmt.Sprintf("%s-%d", name, i)
				}
				if !names[o.Name] && !names[o.Name+InvalidSuffix] {
					break
				}
			}
			names[o.Name], names[o.Name+InvalidSuffix] = true, true
			c.Operations = append(c.Operations, o)
		}
	}
	if len(c.Operations) == 0 {
		return errors.New("the document has no operation")
	}
	for _, o := range c.Operations {
		if key := o.path.key(len(o.path.names)); len(o.path.names) > 0 {
			c.pools[key] = o.path
		}
	}
	var kept []*Operation
	reasons := ""
	for _, o := range c.Operations {
		if err := c.prepare(o, paths[o.Path]); err != nil {
			reasons += fmt.Sprintf("\n%s: %v", o.Name, err)
			c.note(o.Name, "not requested: %v", err)
			continue
		}
		kept = append(kept, o)
	}
	if len(kept) == 0 {
		return errors.New("no operation can be requested:" + reasons)
	}
	c.Operations = kept
	c.relate()
	if len(c.unchecked) > 0 {
		c.note("", "response bodies of %s are not checked", strings.Join(slices.Sorted(mapKeys(c.unchecked)), ", "))
	}
	return nil
}

// InvalidSuffix ends the names of the scenarios of broken requests.
const InvalidSuffix = "-invalid"

// Names returns the names of all operations.
func (c *Contract) Names() (names []string) {
	for _, o := range c.Operations {
		names = append(names, o.Name)
	}
	return names
}

// Operation returns an operation; nil: there is none with this name.
func (c *Contract) Operation(name string) *Operation {
	for _, o := range c.Operations {
		if o.Name == name {
			return o
		}
	}
	return nil
}

// Scenarios returns the names of the requests' scenarios: of valid requests and, if the share of invalid ones is not
// 0, of those.
func (c *Contract) Scenarios(weights map[string]int, invalid float64) (names []string) {
	for _, o := range c.Operations {
		if weights[o.Name] == 0 {
			continue
		}
		if invalid < 1 {
			names = append(names, o.Name)
		}
		if invalid > 0 && o.breakable {
			names = append(names, o.Name+InvalidSuffix)
		}
	}
	return names
}

// Breakable reports whether an operation of a mix has invalid requests.
func (c *Contract) Breakable(weights map[string]int) bool {
	return slices.ContainsFunc(c.Operations, func(o *Operation) bool { return weights[o.Name] > 0 && o.breakable })
}

// Server returns the URL of the document's first server, with the defaults of its variables; "": none. It can be
// relative.
func (c *Contract) Server() string {
	if len(c.doc.Servers) == 0 {
		return ""
	}
	s := c.doc.Servers[0]
	u := s.URL
	for name, v := range s.Variables {
		u = strings.ReplaceAll(u, "{"+name+"}", v.Default)
	}
	return strings.TrimSuffix(u, "/")
}

// MissingCredentials returns how to set the credentials that operations need, if the headers of each request have
// none.
func (c *Contract) MissingCredentials(header http.Header) (list []string) {
	has := http.Header{}
	for name, values := range header {
		has[http.CanonicalHeaderKey(name)] = values
	}
	for _, o := range c.Operations {
		requirements := o.op.Security
		if requirements == nil {
			requirements = &c.doc.Security
		}
		var missing []string
		for _, r := range *requirements {
			missing = nil
			for _, name := range slices.Sorted(mapKeys(r)) {
				if text := c.missing(name, has); text != "" {
					missing = append(missing, text)
				}
			}
			if missing == nil {
				break
			}
		}
		for _, text := range missing {
			if !slices.Contains(list, text) {
				list = append(list, text)
			}
		}
	}
	return list
}

// missing returns how to set the credentials of a security scheme; "": the headers have them.
func (c *Contract) missing(name string, has http.Header) string {
	var s *openapi3.SecurityScheme
	if c.doc.Components != nil && c.doc.Components.SecuritySchemes[name] != nil {
		s = c.doc.Components.SecuritySchemes[name].Value
	}
	switch {
	case s == nil:
		return ""
	case s.Type == "apiKey" && s.In == "header" && has.Get(s.Name) == "":
		return fmt.Sprintf("an API key: add -H '%s: ...'", s.Name)
	case s.Type == "apiKey" && s.In == "cookie" && !strings.Contains(has.Get("Cookie"), s.Name+"="):
		return fmt.Sprintf("an API key: add -H 'Cookie: %s=...'", s.Name)
	case s.Type == "apiKey" && s.In == "query":
		return fmt.Sprintf("an API key in the query parameter %s, which loadgen cannot send", s.Name)
	case s.Type == "mutualTLS":
		return "a client certificate: add -cert and -key, unless they are set"
	case s.Type == "apiKey" || has.Get("Authorization") != "":
		return ""
	case s.Type == "http" && strings.EqualFold(s.Scheme, "basic"):
		return "basic authentication: add -basic-auth user:password"
	}
	return "bearer authentication: add -H 'Authorization: Bearer ...'"
}
