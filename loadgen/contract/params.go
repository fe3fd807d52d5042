package contract

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// param is a parameter, prepared.
type param struct {
	*openapi3.Parameter
	node   *node
	style  *openapi3.SerializationMethod
	json   bool // its content is JSON
	opaque bool // only a response has its values
	off    bool // not sent
	index  int  // among the path's parameters
}

// opaqueNames are parameters whose values come from an earlier page.
var opaqueNames = regexp.MustCompile(`^(.*cursor|.*pagetoken|.*nexttoken|.*continuation(token)?|.*synctoken|startingafter|endingbefore|after|before|marker)$`)

// ignoredHeaders are header parameters that OpenAPI ignores.
var ignoredHeaders = []string{"accept", "content-type", "authorization"}

func newParam(p *openapi3.Parameter, c *compiler) (*param, error) {
	q := &param{Parameter: p, index: -1}
	switch {
	case p.In == openapi3.ParameterInHeader && slices.Contains(ignoredHeaders, strings.ToLower(p.Name)):
		q.off = true
		return q, nil
	case p.Content != nil:
		m := p.Content.Get("application/json")
		if m == nil {
			return nil, fmt.Errorf("parameter %s: its content is not application/json", p.Name)
		}
		q.json, q.node = true, c.node(m.Schema, p.Name, 0)
	default:
		q.node = c.node(p.Schema, p.Name, 0)
	}
	if q.node.learned == "" && p.In == openapi3.ParameterInQuery && q.node.name == "id" {
		q.node.learned = q.node.name
	}
	q.opaque = p.In == openapi3.ParameterInQuery && !p.Required && opaqueNames.MatchString(q.node.name)
	var err error
	q.style, err = p.SerializationMethod()
	return q, err
}

// example returns an example of the parameter.
func (p *param) example() (any, bool) {
	if p.Example != nil {
		return p.Example, true
	}
	for _, name := range slices.Sorted(mapKeys(p.Examples)) {
		if e := p.Examples[name]; e != nil && e.Value != nil && e.Value.Value != nil {
			return e.Value.Value, true
		}
	}
	return nil, false
}

// pair is a name and a value of the query.
type pair struct{ name, value string }

// encode returns the text of a value, and for the query all its pairs. False: the value has characters that separate
// values there.
func (p *param) encode(value any) (text string, pairs []pair, ok bool) {
	if p.json {
		b, err := json.Marshal(value)
		return string(b), []pair{{p.Name, string(b)}}, err == nil && p.safe(string(b))
	}
	switch x := value.(type) {
	case []any:
		text, pairs, ok = p.list(x)
	case map[string]any:
		text, pairs, ok = p.object(x)
	default:
		if text, ok = primitive(x); ok && p.In == openapi3.ParameterInPath {
			switch p.style.Style {
			case openapi3.SerializationLabel:
				text = "." + text
			case openapi3.SerializationMatrix:
				text = ";" + p.Name + "=" + text
			}
		}
		pairs = []pair{{p.Name, text}}
	}
	return text, pairs, ok && p.safe(text)
}

// primitive returns a value as text; false: it is none.
func primitive(value any) (string, bool) {
	switch x := value.(type) {
	case string:
		return x, true
	case bool:
		return strconv.FormatBool(x), true
	case int64:
		return strconv.FormatInt(x, 10), true
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64), true
	case json.Number:
		return x.String(), true
	case int:
		return strconv.Itoa(x), true
	case uint64:
		return strconv.FormatUint(x, 10), true
	}
	return "", false
}

// safe reports whether a text can be sent where the parameter is.
func (p *param) safe(text string) bool {
	switch p.In {
	case openapi3.ParameterInPath:
		return text != "" && text != "." && text != ".." && !strings.ContainsAny(text, "/\\") && printable(text)
	case openapi3.ParameterInHeader:
		return text != "" && strings.TrimSpace(text) == text && printable(text)
	case openapi3.ParameterInCookie:
		return text != "" && printable(text) && !strings.ContainsAny(text, " \",;\\")
	}
	return true
}

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

func (p *param) list(list []any) (string, []pair, bool) {
	separator, prefix := ",", ""
	if p.In == openapi3.ParameterInPath {
		separator, prefix = p.affixes()
	}
	switch p.style.Style {
	case openapi3.SerializationSpaceDelimited:
		separator = " "
	case openapi3.SerializationPipeDelimited:
		separator = "|"
	}
	var texts []string
	var pairs []pair
	exploded := p.In == openapi3.ParameterInQuery && p.style.Explode
	for _, item := range list {
		text, ok := primitive(item)
		if !ok || text == "" || !exploded && strings.Contains(text, separator[:1]) || strings.TrimSpace(text) != text {
			return "", nil, false
		}
		texts = append(texts, text)
		pairs = append(pairs, pair{p.Name, text})
	}
	text := prefix + strings.Join(texts, separator)
	if !exploded {
		pairs = []pair{{p.Name, text}}
	}
	return text, pairs, len(list) > 0
}

// affixes are what separates items in a path, and what begins them.
func (p *param) affixes() (separator, prefix string) {
	switch {
	case p.style.Style == openapi3.SerializationLabel && p.style.Explode:
		return ".", "."
	case p.style.Style == openapi3.SerializationLabel:
		return ",", "."
	case p.style.Style == openapi3.SerializationMatrix && p.style.Explode:
		return ";" + p.Name + "=", ";" + p.Name + "="
	case p.style.Style == openapi3.SerializationMatrix:
		return ",", ";" + p.Name + "="
	}
	return ",", ""
}

func (p *param) object(m map[string]any) (string, []pair, bool) {
	var parts []string
	var pairs []pair
	equals, separator, prefix := ",", ",", ""
	if p.style.Explode {
		equals = "="
	}
	if p.In == openapi3.ParameterInPath {
		if separator, prefix = p.affixes(); p.style.Style == openapi3.SerializationMatrix && p.style.Explode {
			separator, prefix = ";", ";"
		}
	}
	query := p.In == openapi3.ParameterInQuery
	for _, name := range slices.Sorted(mapKeys(m)) {
		if query && p.style.Style == openapi3.SerializationDeepObject {
			if !deep(&pairs, p.Name+"["+name+"]", m[name]) {
				return "", nil, false
			}
			continue
		}
		text, ok := primitive(m[name])
		if !ok || text == "" || (!query || !p.style.Explode) && strings.ContainsAny(name+text, ",=;. |") {
			return "", nil, false
		}
		parts = append(parts, name+equals+text)
		pairs = append(pairs, pair{name, text})
	}
	switch p.style.Style {
	case openapi3.SerializationSpaceDelimited:
		equals, separator = " ", " "
	case openapi3.SerializationPipeDelimited:
		equals, separator = "|", "|"
	}
	if query && !p.style.Explode {
		for i, q := range pairs {
			parts[i] = q.name + equals + q.value
		}
		pairs = []pair{{p.Name, strings.Join(parts, separator)}}
	}
	return prefix + strings.Join(parts, separator), pairs, len(m) > 0
}

// deep adds the pairs of an object of style deepObject.
func deep(pairs *[]pair, name string, value any) bool {
	if m, ok := value.(map[string]any); ok {
		for _, k := range slices.Sorted(mapKeys(m)) {
			if !deep(pairs, name+"["+k+"]", m[k]) {
				return false
			}
		}
		return true
	}
	text, ok := primitive(value)
	*pairs = append(*pairs, pair{name, text})
	return ok
}

// queryOf returns the query of pairs, in their order.
func queryOf(pairs []pair) string {
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p.value))
	}
	return b.String()
}
