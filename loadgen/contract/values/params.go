package values

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// Param is a parameter, prepared.
type Param struct {
	*openapi3.Parameter
	node   *Node
	Style  *openapi3.SerializationMethod
	JSON   bool // its content is JSON
	Opaque bool // only a response has its values
	Off    bool // not sent
	once   bool // a key of idempotency: a value that another run had replays its response
	Index  int  // among the path's parameters
}

// opaqueNames are parameters whose values come from an earlier page.
var opaqueNames = regexp.MustCompile(`^(.*cursor|.*pagetoken|.*nexttoken|.*continuation(token)?|.*synctoken|startingafter|endingbefore|after|before|marker)$`)

// ignoredHeaders are header parameters that OpenAPI ignores.
var ignoredHeaders = []string{"accept", "content-type", "authorization"}

func NewParam(p *openapi3.Parameter, c *Compiler) (*Param, error) {
	q := &Param{Parameter: p, Index: -1}
	switch {
	case p.In == openapi3.ParameterInHeader && slices.Contains(ignoredHeaders, strings.ToLower(p.Name)):
		q.Off = true
		return q, nil
	case p.In == openapi3.ParameterInHeader && Normalized(p.Name) == "idempotencykey":
		q.once = true
		q.Off = !p.Required
		q.node = c.node(p.Schema, p.Name, 0)
	case p.Content != nil:
		m := p.Content.Get("application/json")
		if m == nil {
			return nil, fmt.Errorf("parameter %s: its content is not application/json", p.Name)
		}
		q.JSON, q.node = true, c.node(m.Schema, p.Name, 0)
	default:
		q.node = c.node(p.Schema, p.Name, 0)
	}
	if q.node.learned == "" && p.In == openapi3.ParameterInQuery && q.node.name == "id" {
		q.node.learned = q.node.name
	}
	q.Opaque = p.In == openapi3.ParameterInQuery && !p.Required && opaqueNames.MatchString(q.node.name)
	var err error
	q.Style, err = p.SerializationMethod()
	return q, err
}

// example returns an example of the parameter.
func (p *Param) example() (any, bool) {
	if p.Example != nil {
		return p.Example, true
	}
	for _, name := range slices.Sorted(maps.Keys(p.Examples)) {
		if e := p.Examples[name]; e != nil && e.Value != nil && e.Value.Value != nil {
			return e.Value.Value, true
		}
	}
	return nil, false
}

// Pair is a name and a value of the query.
type Pair struct{ Name, Value string }

// Encode returns the text of a value, and for the query all its pairs. False: the value has characters that separate
// values there.
func (p *Param) Encode(value any) (text string, pairs []Pair, ok bool) {
	if p.JSON {
		b, err := json.Marshal(value)
		return string(b), []Pair{{p.Name, string(b)}}, err == nil && p.Safe(string(b))
	}
	switch x := value.(type) {
	case []any:
		text, pairs, ok = p.list(x)
	case map[string]any:
		text, pairs, ok = p.object(x)
	default:
		if text, ok = Primitive(x); ok && p.In == openapi3.ParameterInPath {
			switch p.Style.Style {
			case openapi3.SerializationLabel:
				text = "." + text
			case openapi3.SerializationMatrix:
				text = ";" + p.Name + "=" + text
			}
		}
		pairs = []Pair{{p.Name, text}}
	}
	return text, pairs, ok && p.Safe(text)
}

// Primitive returns a value as text; false: it is none.
func Primitive(value any) (string, bool) {
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

// Safe reports whether a text can be sent where the parameter is.
func (p *Param) Safe(text string) bool {
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

func (p *Param) list(list []any) (string, []Pair, bool) {
	separator, prefix := ",", ""
	if p.In == openapi3.ParameterInPath {
		separator, prefix = p.affixes()
	}
	switch p.Style.Style {
	case openapi3.SerializationSpaceDelimited:
		separator = " "
	case openapi3.SerializationPipeDelimited:
		separator = "|"
	}
	var texts []string
	var pairs []Pair
	exploded := p.In == openapi3.ParameterInQuery && p.Style.Explode
	for _, item := range list {
		text, ok := Primitive(item)
		if !ok || text == "" || !exploded && strings.Contains(text, separator[:1]) || strings.TrimSpace(text) != text {
			return "", nil, false
		}
		texts = append(texts, text)
		pairs = append(pairs, Pair{p.Name, text})
	}
	text := prefix + strings.Join(texts, separator)
	if !exploded {
		pairs = []Pair{{p.Name, text}}
	}
	return text, pairs, len(list) > 0
}

// affixes are what separates items in a path, and what begins them.
func (p *Param) affixes() (separator, prefix string) {
	switch {
	case p.Style.Style == openapi3.SerializationLabel && p.Style.Explode:
		return ".", "."
	case p.Style.Style == openapi3.SerializationLabel:
		return ",", "."
	case p.Style.Style == openapi3.SerializationMatrix && p.Style.Explode:
		return ";" + p.Name + "=", ";" + p.Name + "="
	case p.Style.Style == openapi3.SerializationMatrix:
		return ",", ";" + p.Name + "="
	}
	return ",", ""
}

func (p *Param) object(m map[string]any) (string, []Pair, bool) {
	var parts []string
	var pairs []Pair
	equals, separator, prefix := ",", ",", ""
	if p.Style.Explode {
		equals = "="
	}
	if p.In == openapi3.ParameterInPath {
		if separator, prefix = p.affixes(); p.Style.Style == openapi3.SerializationMatrix && p.Style.Explode {
			separator, prefix = ";", ";"
		}
	}
	query := p.In == openapi3.ParameterInQuery
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if query && p.Style.Style == openapi3.SerializationDeepObject {
			if !deep(&pairs, p.Name+"["+name+"]", m[name]) {
				return "", nil, false
			}
			continue
		}
		text, ok := Primitive(m[name])
		if !ok || text == "" || (!query || !p.Style.Explode) && strings.ContainsAny(name+text, ",=;. |") {
			return "", nil, false
		}
		parts = append(parts, name+equals+text)
		pairs = append(pairs, Pair{name, text})
	}
	switch p.Style.Style {
	case openapi3.SerializationSpaceDelimited:
		equals, separator = " ", " "
	case openapi3.SerializationPipeDelimited:
		equals, separator = "|", "|"
	}
	if query && !p.Style.Explode {
		for i, q := range pairs {
			parts[i] = q.Name + equals + q.Value
		}
		pairs = []Pair{{p.Name, strings.Join(parts, separator)}}
	}
	return prefix + strings.Join(parts, separator), pairs, len(m) > 0
}

// deep adds the pairs of an object of style deepObject.
func deep(pairs *[]Pair, name string, value any) bool {
	if m, ok := value.(map[string]any); ok {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !deep(pairs, name+"["+k+"]", m[k]) {
				return false
			}
		}
		return true
	}
	text, ok := Primitive(value)
	*pairs = append(*pairs, Pair{name, text})
	return ok
}

// QueryOf returns the query of pairs, in their order.
func QueryOf(pairs []Pair) string {
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.Name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p.Value))
	}
	return b.String()
}

// Param generates a value of a parameter.
func (v *Values) Param(p *Param, options []openapi3.SchemaValidationOption) (any, bool) {
	encodes := func(x any) bool {
		_, _, ok := p.Encode(x)
		return ok
	}
	ref := p.Schema
	if p.once {
		if x := rand.Text(); ref == nil || ref.Value.VisitJSON(x, options...) == nil {
			return x, true
		}
	}
	if p.JSON {
		ref = p.Content.Get("application/json").Schema
	}
	if x, ok := p.example(); ok && (p.Index >= 0 || v.Chance(4)) && encodes(x) && (ref == nil || ref.Value.VisitJSON(x, options...) == nil) {
		return x, true
	}
	return v.Valid(p.node, ref, encodes, options...)
}
