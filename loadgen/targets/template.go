package targets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// placeholderPattern matches a placeholder.
var placeholderPattern = regexp.MustCompile(`\{\{ *([A-Za-z_][A-Za-z0-9_.-]*) *\}\}`)

// escape writes a value in the form of its place.
type escape func(Value) string

// piece is a text, or the place of a value.
type piece struct {
	text   string
	column int
	escape escape // nil: text
}

// pieces are a text with placeholders.
type pieces []piece

func (p pieces) render(row []Value) string {
	var b strings.Builder
	for _, x := range p {
		if x.escape == nil {
			b.WriteString(x.text)
		} else {
			b.WriteString(x.escape(row[x.column]))
		}
	}
	return b.String()
}

// split splits a text at its placeholders; nil: it has none. For each, form returns its escape by the
// text before it.
func split(s string, d *Data, form func(before string) (escape, error)) (list pieces, err error) {
	end := 0
	for _, m := range placeholderPattern.FindAllStringSubmatchIndex(s, -1) {
		p := piece{}
		if p.column, err = d.column(s[m[2]:m[3]]); err == nil {
			p.escape, err = form(s[:m[0]])
		}
		if err != nil {
			return nil, err
		}
		list = append(list, piece{text: s[end:m[0]]}, p)
		end = m[1]
	}
	rest := s
	if list != nil {
		rest = s[end:]
		list = append(list, piece{text: rest})
	}
	for _, p := range append(pieces{{text: rest}}, list...) {
		if i := strings.Index(p.text, "{{"); i >= 0 {
			return nil, fmt.Errorf("%s is not a placeholder, as in {{name}}", excerpt(p.text[i:]))
		}
	}
	return list, nil
}

// Template is a target with placeholders.
type Template struct {
	data    *Data
	target  *vegeta.Target
	url     pieces // nil: none in it
	headers map[string][]pieces
	body    pieces
}

// NewTemplate returns the template of a target; nil: it has no placeholders.
func NewTemplate(t *vegeta.Target, d *Data) (*Template, error) {
	if d == nil {
		return nil, withoutData(t)
	}
	m := &Template{data: d, target: t, headers: map[string][]pieces{}}
	var err error
	if m.url, err = split(t.URL, d, escapeURL); err != nil {
		return nil, err
	}
	found := m.url != nil
	for name, values := range t.Header {
		if strings.Contains(name, "{{") {
			return nil, fmt.Errorf("header name %s has a placeholder: placeholders are for values", excerpt(name))
		}
		check := headerValue
		if name == "Traceparent" {
			check = headerParent
		}
		for i, value := range values {
			p, err := split(value, d, func(string) (escape, error) { return func(v Value) string { return v.Text }, nil })
			if err != nil {
				return nil, fmt.Errorf("header %s: %w", name, err)
			}
			if p == nil {
				continue
			}
			if check == headerParent && placeholderPattern.FindString(value) != value {
				return nil, errors.New("header traceparent: a placeholder must be the whole value")
			}
			for _, x := range p {
				if x.escape != nil {
					if err := d.checkHeader(x.column, name, check); err != nil {
						return nil, err
					}
				}
			}
			if m.headers[name] == nil {
				m.headers[name] = make([]pieces, len(values))
			}
			m.headers[name][i], found = p, true
		}
	}
	if m.body, err = split(string(t.Body), d, bodyEscape(t)); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if m.body == nil && !found {
		return nil, nil
	}
	return m, nil
}

// withoutData returns an error if a URL or a header has a placeholder. A body without -data is sent as
// it is: it may be a template of another program.
func withoutData(t *vegeta.Target) error {
	texts := []string{t.URL}
	for _, values := range t.Header {
		texts = append(texts, values...)
	}
	for _, s := range texts {
		if p := placeholderPattern.FindString(s); p != "" {
			return fmt.Errorf("placeholder %s needs -data", p)
		}
	}
	return nil
}

// escapeURL escapes a value for its place in a URL: a segment of the path, or a part of the query.
func escapeURL(before string) (escape, error) {
	rest := before
	if _, after, ok := strings.Cut(before, "://"); ok {
		rest = after
	}
	switch {
	case strings.Contains(rest, "#"):
		return nil, errors.New("a placeholder after # would not be sent")
	case strings.Contains(rest, "?"):
		return func(v Value) string { return queryEscape(v.Text) }, nil
	case strings.Contains(rest, "/"):
		return func(v Value) string { return url.PathEscape(v.Text) }, nil
	}
	return nil, errors.New("placeholders in a URL are for its path and query")
}

// queryEscape is url.QueryEscape with %20 for a blank, which every server understands.
func queryEscape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// bodyEscape returns how to escape values for a body: in JSON as a part of a string or as a value; in a
// form as in a query; else not at all.
func bodyEscape(t *vegeta.Target) func(string) (escape, error) {
	contentType := strings.ToLower(strings.Join(t.Header["Content-Type"], ""))
	for name, values := range t.Header {
		if strings.EqualFold(name, "Content-Type") {
			contentType = strings.ToLower(strings.Join(values, ""))
		}
	}
	text := bytes.TrimLeft(t.Body, " \t\r\n")
	switch {
	case strings.Contains(contentType, "json"), contentType == "" && len(text) > 0 && (text[0] == '{' || text[0] == '[') && !bytes.HasPrefix(text, []byte("{{")):
		return func(before string) (escape, error) {
			if inString(before) {
				return func(v Value) string { q := quote(v.Text); return q[1 : len(q)-1] }, nil
			}
			return func(v Value) string {
				if v.Literal {
					return v.Text
				}
				return quote(v.Text)
			}, nil
		}
	case strings.Contains(contentType, "x-www-form-urlencoded"):
		return func(string) (escape, error) { return func(v Value) string { return queryEscape(v.Text) }, nil }
	}
	return func(string) (escape, error) { return func(v Value) string { return v.Text }, nil }
}

// inString reports whether a JSON text ends within a string.
func inString(s string) (in bool) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			in = !in
		case s[i] == '\\' && in:
			i++
		}
	}
	return in
}

// quote returns a text as a JSON string.
func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // of a string there is no error
	return strings.TrimSuffix(b.String(), "\n")
}

// Render returns the target of a row.
func (m *Template) Render(n uint64) vegeta.Target {
	return m.RenderRow(m.data.Rows[n%uint64(len(m.data.Rows))])
}

// RenderRow returns the target with values, in the order of the columns.
func (m *Template) RenderRow(row []Value) vegeta.Target {
	t := vegeta.Target{Method: m.target.Method, URL: m.target.URL, Header: m.target.Header, Body: m.target.Body}
	if m.url != nil {
		t.URL = m.url.render(row)
	}
	if len(m.headers) > 0 {
		t.Header = make(http.Header, len(m.target.Header))
		for name, values := range m.target.Header {
			list := append([]string(nil), values...)
			for i, p := range m.headers[name] {
				if p != nil {
					list[i] = p.render(row)
				}
			}
			t.Header[name] = list
		}
	}
	if m.body != nil {
		t.Body = []byte(m.body.render(row))
	}
	return t
}
