package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"soundcheck/loadgen/contract/draft2020"
	"soundcheck/loadgen/contract/values"
)

// Failure is a response that violates the contract.
type Failure struct {
	Check  string // the same text for each such response
	Detail string
}

// response is a documented response, prepared.
type response struct {
	*openapi3.Response
	headers bool // has headers to check
	modern  bool // needs the validator of JSON Schema 2020-12
	write   bool // has properties that only requests have
}

// prepareResponses prepares the responses of an operation.
func (c *Contract) prepareResponses(o *Operation) {
	o.responses = map[string]*response{}
	var accept []string
	for _, status := range slices.Sorted(mapKeys(o.op.Responses.Map())) {
		ref := o.op.Responses.Value(status)
		if ref == nil || ref.Value == nil {
			continue
		}
		r, schemas := &response{Response: ref.Value}, map[string]*openapi3.SchemaRef{}
		for name, h := range r.Headers {
			r.headers = r.headers || !strings.EqualFold(name, "Content-Type")
			if h.Value != nil {
				schemas[status+" header "+name] = h.Value.Schema
			}
		}
		for _, name := range slices.Sorted(mapKeys(r.Content)) {
			m := r.Content[name]
			if m == nil {
				m = new(openapi3.MediaType)
			}
			schemas[status+" "+values.Plain(name)] = m.Schema
			r.write = r.write || len(c.write) > 0 && anySchema(m.Schema, func(s *openapi3.Schema) bool { return s.WriteOnly })
			if kind := values.Plain(name); m.Schema != nil && !values.IsJSON(kind) && !strings.Contains(kind, "*") && !m.Schema.Value.Type.Is(openapi3.TypeString) && !m.Schema.Value.IsEmpty() {
				c.unchecked[kind] = true
			}
			if status[0] == '2' || status == "default" {
				accept = append(accept, name)
			}
		}
		r.modern = c.isModern(o.Name, schemas)
		o.responses[strings.ToUpper(status)] = r
	}
	if i := slices.IndexFunc(accept, func(s string) bool { return values.IsJSON(values.Plain(s)) }); i >= 0 {
		accept = accept[i : i+1]
	}
	slices.Sort(accept)
	o.accept = strings.Join(slices.Compact(accept), ", ")
}

// response returns the documented response of a status; nil: there is none.
func (o *Operation) response(status int) *response {
	for _, key := range []string{strconv.Itoa(status), strconv.Itoa(status/100) + "XX", "DEFAULT"} {
		if r := o.responses[key]; r != nil {
			return r
		}
	}
	return nil
}

// Expects reports whether a status is one that the request should get.
func (r *Request) Expects(status int) bool {
	if r.Invalid != "" {
		// A 401 is about credentials, unless what is broken may be one.
		about := status != http.StatusUnauthorized || strings.HasPrefix(r.Invalid, openapi3.ParameterInHeader+" ") || strings.HasPrefix(r.Invalid, openapi3.ParameterInCookie+" ")
		return status >= 400 && status < 500 && status != http.StatusTooManyRequests && about
	}
	switch {
	case status >= 200 && status < 400:
		return r.Operation.response(status) != nil
	case status == http.StatusNotFound:
		return r.Unknown && r.Operation.response(status) != nil
	}
	return false
}

// Statuses are those that the request should get, as in 200,404 or 2xx.
func (r *Request) Statuses() string {
	if r.Invalid != "" {
		return "4xx"
	}
	var list []string
	for _, key := range slices.Sorted(mapKeys(r.Operation.responses)) {
		if key[0] == '2' || key[0] == '3' || key == "404" && r.Unknown {
			list = append(list, strings.ToLower(key))
		}
	}
	if len(list) == 0 || r.Operation.responses["DEFAULT"] != nil {
		list = append(list, "2xx", "3xx")
	}
	return strings.Join(list, ",")
}

const violates = "response violates the contract: "

// check returns how a response violates the contract, and its decoded body if it is JSON.
func (c *Contract) check(r *Request, status int, header http.Header, content func() ([]byte, error)) (any, *Failure) {
	if r.Invalid != "" && status < 400 {
		detail := fmt.Sprintf("status %d, but %s", status, r.Reason)
		if len(r.Body) > 0 {
			detail += fmt.Sprintf("; body: %.200s", r.Body)
		}
		return nil, &Failure{"accepted an invalid request: " + r.Invalid, detail}
	}
	documented := r.Operation.response(status)
	if documented == nil {
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			return nil, nil // of a gateway, maybe: it is shed
		}
		return nil, &Failure{fmt.Sprintf("%sundocumented status %d", violates, status), fmt.Sprintf("documented are %s", strings.Join(slices.Sorted(mapKeys(r.Operation.responses)), ", "))}
	}
	if documented.headers {
		if failure := c.checkHeaders(r.Operation, documented, status, header); failure != nil {
			return nil, failure
		}
	}
	if r.Operation.Method == http.MethodHead || len(documented.Content) == 0 || status == http.StatusNoContent || status == http.StatusNotModified {
		return nil, nil
	}
	return c.checkBody(documented, status, header.Get("Content-Type"), content)
}

func (c *Contract) checkBody(documented *response, status int, kind string, content func() ([]byte, error)) (any, *Failure) {
	media := documented.Content.Get(kind)
	if media == nil {
		return nil, &Failure{fmt.Sprintf("%s%d content type %q is not documented", violates, status, values.Plain(kind)), fmt.Sprintf("documented are %s", strings.Join(slices.Sorted(mapKeys(documented.Content)), ", "))}
	}
	text := media.Schema != nil && media.Schema.Value != nil && media.Schema.Value.Type.Is(openapi3.TypeString)
	if !values.IsJSON(values.Plain(kind)) && (!text || media.Schema.Value.Format == "binary") {
		return nil, nil
	}
	b, err := content()
	if err != nil {
		return nil, &Failure{fmt.Sprintf("%s%d body cannot be read", violates, status), err.Error()}
	}
	var value any = string(b)
	if values.IsJSON(values.Plain(kind)) {
		if value, err = decode(b); err != nil {
			detail := err.Error()
			if !documented.write {
				detail = fmt.Sprintf("%s: %.200q", detail, b)
			}
			return nil, &Failure{fmt.Sprintf("%s%d body is malformed JSON", violates, status), detail}
		}
	}
	if media.Schema == nil || media.Schema.Value == nil {
		return value, nil
	}
	var options []openapi3.SchemaValidationOption
	if documented.write {
		options = append(options, openapi3.VisitAsResponse())
	}
	if documented.modern {
		options = append(options, openapi3.EnableJSONSchema2020())
	}
	if err := media.Schema.Value.VisitJSON(value, options...); err != nil {
		return value, c.violation(fmt.Sprintf("%d body", status), err)
	}
	return value, nil
}

func decode(b []byte) (value any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // ids may be greater than 2^53
	if err = d.Decode(&value); err == nil && d.More() {
		err = errors.New("more than one JSON value")
	}
	return value, err
}

// inHeader matches the header in an error of kin-openapi.
var inHeader = regexp.MustCompile(`header "([^"]+)"`)

// checkHeaders returns how the headers of a response violate the contract.
func (c *Contract) checkHeaders(o *Operation, documented *response, status int, header http.Header) *Failure {
	// As a GET: kin-openapi checks nothing of a HEAD.
	q := &http.Request{Method: http.MethodGet, URL: new(url.URL)}
	spec := c.spec(documented.modern)
	in := &openapi3filter.RequestValidationInput{Request: q, Route: &routers.Route{Spec: spec, Method: o.Method, Operation: o.op}}
	err := openapi3filter.ValidateResponse(q.Context(), &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: status, Header: header,
		Body: io.NopCloser(http.NoBody), Options: &openapi3filter.Options{ExcludeResponseBody: true}})
	if err == nil {
		return nil
	}
	name := ""
	if m := inHeader.FindStringSubmatch(err.Error()); m != nil {
		name = " " + m[1]
	}
	if s := (*openapi3.SchemaError)(nil); errors.As(err, &s) {
		return c.violation(fmt.Sprintf("%d header%s", status, name), s)
	}
	text := short(err).Error()
	if strings.Contains(text, "missing") {
		return &Failure{fmt.Sprintf("%s%d header%s is missing", violates, status, name), text}
	}
	return &Failure{fmt.Sprintf("%s%d header%s", violates, status, name), text}
}

// spec returns the document, for the validator that an operation needs. That of JSON Schema 2020-12 compiles the schema
// for each value.
func (c *Contract) spec(modern bool) *openapi3.T {
	if modern {
		return c.doc
	}
	return c.plain
}

// wrappers are keywords whose errors have the errors of other schemas.
var wrappers = []string{"", "allOf", "$ref"}

// violation is the failure of an error of kin-openapi.
func (c *Contract) violation(where string, err error) *Failure {
	s := (*openapi3.SchemaError)(nil)
	if !errors.As(err, &s) {
		return &Failure{violates + where, short(err).Error()}
	}
	for inner := (*openapi3.SchemaError)(nil); slices.Contains(wrappers, s.SchemaField) && errors.As(s.Origin, &inner) && inner != s; {
		s, inner = inner, nil
	}
	at := pointer(s)
	field, text := violated(s)
	secret := field == "writeOnly" || c.hide || slices.ContainsFunc(s.JSONPointer(), func(name string) bool { return c.write[name] })
	if !secret {
		shown, encodeErr := json.Marshal(c.redact(s.Value))
		if encodeErr != nil {
			shown = nil
		}
		text += fmt.Sprintf("; value: %.200s", shown)
	}
	return &Failure{strings.TrimSpace(violates + where + " " + general(s) + ": " + field), strings.TrimSpace(where+" "+at) + ": " + text}
}

// redact returns a value without those of properties that only requests have: they are often passwords.
func (c *Contract) redact(value any) any {
	switch v := value.(type) {
	case map[string]any:
		shown := make(map[string]any, len(v))
		for name, property := range v {
			if shown[name] = "(writeOnly)"; !c.write[name] {
				shown[name] = c.redact(property)
			}
		}
		return shown
	case []any:
		shown := make([]any, len(v))
		for i, item := range v {
			shown[i] = c.redact(item)
		}
		return shown
	}
	return value
}

// violated returns the keyword that a value violates, and how. The validator of JSON Schema 2020-12 says it after a line
// about the schema.
func violated(s *openapi3.SchemaError) (keyword, text string) {
	text, rest, _ := strings.Cut(s.Reason, "\n")
	if _, said, ok := strings.Cut(rest, "': "); ok && strings.Contains(text, "jsonschema validation failed") {
		text, _, _ = strings.Cut(said, "\n")
	}
	if path := s.JSONPointer(); s.SchemaField == "enum" && strings.Contains(text, unwritten) && len(path) > 0 {
		return "writeOnly", fmt.Sprintf("writeOnly property %q in response", path[len(path)-1])
	}
	return s.SchemaField, text
}

// pointer returns the JSON pointer of a value; "": the root.
func pointer(s *openapi3.SchemaError) string {
	at := ""
	for _, token := range s.JSONPointer() {
		at += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(token)
	}
	return at
}

// special are keys that are probably not in the document.
var special = regexp.MustCompile(`^[0-9]+$|[0-9a-fA-F]{8}|[0-9]{4}`)

// general returns the pointer with * in place of what differs from response to response.
func general(s *openapi3.SchemaError) string {
	at := ""
	for _, token := range s.JSONPointer() {
		if special.MatchString(token) {
			token = "*"
		}
		at += "/" + token
	}
	return at
}

// anySchema reports whether a condition is true of a schema or one below it.
func anySchema(ref *openapi3.SchemaRef, is func(*openapi3.Schema) bool) (found bool) {
	if ref == nil || ref.Value == nil {
		return false
	}
	_ = ref.WalkSubtree(func(_ string, r *openapi3.SchemaRef) error {
		if found = found || is(r.Value); found {
			return io.EOF // ends the walk
		}
		return nil
	})
	return found
}

// isModern reports whether schemas, by where they are in an operation, need the validator of JSON Schema 2020-12. If that
// cannot check one of them, a note says why, and all are checked as those of OpenAPI 3.0: kin-openapi does that silently.
func (c *Contract) isModern(operation string, schemas map[string]*openapi3.SchemaRef) bool {
	if !c.modern || !slices.ContainsFunc(slices.Collect(maps.Values(schemas)), func(ref *openapi3.SchemaRef) bool { return anySchema(ref, draft2020.Needed) }) {
		return false
	}
	for _, where := range slices.Sorted(maps.Keys(schemas)) {
		if ref := schemas[where]; ref != nil && ref.Value != nil {
			if why := draft2020.Uncheckable(ref); why != "" {
				c.note(operation, "%s: keywords that OpenAPI 3.0 does not have (const, if, prefixItems and so on) are not checked: %s", where, why)
				return false
			}
		}
	}
	return true
}
