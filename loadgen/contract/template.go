package contract

import (
	"iter"
	"maps"
	"net/url"
	"regexp"
	"strings"
)

// template is the path of an operation.
type template struct {
	literals []string // one more than names
	names    []string
	match    *regexp.Regexp
}

var parameter = regexp.MustCompile(`\{([^{}]+)\}`)

func newTemplate(path string) *template {
	t := &template{}
	at, pattern := 0, "^"
	for _, m := range parameter.FindAllStringSubmatchIndex(path, -1) {
		t.literals = append(t.literals, path[at:m[0]])
		t.names = append(t.names, path[m[2]:m[3]])
		pattern += regexp.QuoteMeta(path[at:m[0]]) + "([^/]+?)"
		at = m[1]
	}
	t.literals = append(t.literals, path[at:])
	t.match = regexp.MustCompile(pattern + regexp.QuoteMeta(path[at:]) + "$")
	return t
}

// key identifies the path up to parameter n, without the names of parameters.
func (t *template) key(n int) string { return strings.Join(t.literals[:n], "{}") + "{}" }

// end returns what follows the last parameter.
func (t *template) end() string { return t.literals[len(t.names)] }

// render returns the path with values.
func (t *template) render(values []string) string {
	var b strings.Builder
	for i, v := range values {
		b.WriteString(t.literals[i])
		b.WriteString(url.PathEscape(v))
	}
	b.WriteString(t.end())
	return b.String()
}

// values returns the parameters of a path; nil: it is another one.
func (t *template) values(path string) []string {
	m := t.match.FindStringSubmatch(path)
	if m == nil {
		return nil
	}
	for i, v := range m {
		u, err := url.PathUnescape(v)
		if err != nil {
			return nil
		}
		m[i] = u
	}
	return m[1:]
}

func mapKeys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
