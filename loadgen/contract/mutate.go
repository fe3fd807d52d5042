package contract

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// mutation breaks a draft in one way.
type mutation struct {
	kind  string // as in "below the minimum"
	where string
	apply func(d *draft)
}

var errNothing = errors.New("no invalid request was found")

// invalid makes a request that violates the contract in one way.
func (c *Contract) invalid(o *Operation, v *values, learned []string) (*Request, error) {
	for range attempts {
		_, d, err := c.make(o, v, learned, nil)
		if err != nil {
			return nil, err
		}
		m, ok := v.mutation(d)
		if !ok {
			continue
		}
		m.apply(d)
		r, err := d.encode()
		if err != nil {
			continue
		}
		if err := c.validate(r); err != nil {
			r.Invalid, r.Reason = m.where+": "+m.kind, reason(err)
			return r, nil
		}
	}
	return nil, errNothing
}

// mutation chooses one of the ways to break a draft: first the kind, then where.
func (v *values) mutation(d *draft) (mutation, bool) {
	byKind := map[string][]mutation{}
	for _, m := range append(d.parameters(), d.bodies()...) {
		byKind[m.kind] = append(byKind[m.kind], m)
	}
	if len(byKind) == 0 {
		return mutation{}, false
	}
	kinds := slices.Sorted(maps.Keys(byKind))
	list := byKind[kinds[v.r.IntN(len(kinds))]]
	return list[v.r.IntN(len(list))], true
}

// parameters are the ways to break a parameter.
func (d *draft) parameters() (list []mutation) {
	for i, p := range d.o.params {
		if p.off || p.opaque {
			continue
		}
		where := p.In + " " + p.Name
		if p.Required && p.In != openapi3.ParameterInPath {
			list = append(list, mutation{"missing required parameter", where, func(d *draft) { d.sent[i] = false }})
		}
		if p.json || p.In == openapi3.ParameterInPath && p.style.Style != openapi3.SerializationSimple || p.index >= 0 && p.index < len(d.learned) && !p.node.numeric() {
			continue
		}
		value := d.values[i]
		for _, w := range p.node.wrong(value, d.v) {
			text, ok := primitive(w.value)
			if !ok || text == "" || !p.safe(text) {
				continue
			}
			list = append(list, mutation{w.kind, where, func(d *draft) {
				d.sent[i], d.raw[i] = true, text
				if p.index >= 0 && p.index < len(d.learned) {
					d.learned = slices.Clone(d.learned[:p.index])
				}
			}})
		}
	}
	return list
}

func (n *node) numeric() bool {
	return slices.Contains(n.types, openapi3.TypeInteger) || slices.Contains(n.types, openapi3.TypeNumber)
}

// bodies are the ways to break the body.
func (d *draft) bodies() (list []mutation) {
	b := d.o.body
	if b == nil || !d.hasBody {
		return nil
	}
	if b.required {
		list = append(list, mutation{"missing body", "body", func(d *draft) { d.hasBody = false }})
	}
	list = append(list, mutation{"unknown content type", "body", func(d *draft) { d.kind = "application/x-unknown" }})
	if !isJSON(plain(b.mediaType)) {
		return list
	}
	list = append(list, mutation{"malformed JSON", "body", func(d *draft) {
		content, kind, err := b.encode(b, d.body, d.v)
		if err == nil && len(content) > 1 {
			d.content, d.kind, d.hasBody = content[:len(content)-1], kind, false
			return
		}
		d.content, d.kind, d.hasBody = []byte("{"), b.mediaType, false
	}})
	walk(b.node, d.body, "body", d.v, func(x any) { d.body = x }, &list)
	return list
}

// walk collects the ways to break a value, which set replaces.
func walk(n *node, value any, where string, v *values, set func(any), list *[]mutation) {
	if len(n.alts) > 0 {
		return // what one schema rejects, another one may accept
	}
	for _, w := range n.wrong(value, v) {
		*list = append(*list, mutation{w.kind, where, func(*draft) { set(w.value) }})
	}
	switch x := value.(type) {
	case map[string]any:
		for _, p := range n.props {
			child, has := x[p.name]
			if !has {
				continue
			}
			at := where + " /" + p.name
			if strings.Contains(where, " /") {
				at = where + "/" + p.name
			}
			if p.required && !p.readOnly {
				*list = append(*list, mutation{"missing required property", at, func(*draft) { delete(x, p.name) }})
			}
			if child != nil && !p.node.null && len(p.node.types) > 0 {
				*list = append(*list, mutation{"null", at, func(*draft) { x[p.name] = nil }})
			}
			walk(p.node, child, at, v, func(y any) { x[p.name] = y }, list)
		}
		if n.closed {
			*list = append(*list, mutation{"unknown property", where, func(*draft) { x["no_such_property"] = true }})
		}
	case []any:
		if n.items != nil && len(n.prefix) == 0 && len(x) > 0 {
			i := v.r.IntN(len(x))
			at := where + " /*"
			if strings.Contains(where, " /") {
				at = where + "/*"
			}
			walk(n.items, x[i], at, v, func(y any) { x[i] = y }, list)
		}
	}
}

// wrong is a value that a schema rejects.
type wrong struct {
	kind  string
	value any
}

// Limits of the values that are too long.
const (
	longest  = 100_000 // characters
	mostMany = 1000    // items
)

// wrong returns values that the schema rejects, one for each of its rules. Value is a valid one.
func (n *node) wrong(value any, v *values) (list []wrong) {
	if len(n.alts) > 0 || n.never {
		return nil
	}
	if len(n.types) == 1 {
		list = append(list, wrong{"wrong type", otherType(n.types[0])})
	}
	if len(n.enum) > 0 {
		if n.numeric() {
			return append(list, wrong{"not in the enumeration", int64(987654321)})
		}
		return append(list, wrong{"not in the enumeration", "no-such-value"})
	}
	s := n.schema
	if n.numeric() {
		if !math.IsInf(n.min, -1) {
			list = append(list, wrong{"below the minimum", whole(math.Floor(n.min) - 1)})
		}
		if !math.IsInf(n.max, 1) {
			list = append(list, wrong{"above the maximum", whole(math.Ceil(n.max) + 1)})
		}
		if x, ok := primitive(value); ok && s.MultipleOf != nil {
			if f, err := strconv.ParseFloat(x, 64); err == nil {
				list = append(list, wrong{"not a multiple", f + *s.MultipleOf/2})
			}
		}
		if len(n.types) == 1 && n.types[0] == openapi3.TypeInteger {
			list = append(list, wrong{"not an integer", 1.5})
		}
	}
	switch x := value.(type) {
	case string:
		list = append(list, n.wrongText(x, v)...)
	case []any:
		if s.MinItems > 0 && uint64(len(x)) >= s.MinItems {
			list = append(list, wrong{"too few items", slices.Clone(x[:s.MinItems-1])})
		}
		if len(x) == 0 {
			break
		}
		if s.MaxItems != nil && *s.MaxItems < mostMany {
			many := slices.Clone(x)
			for uint64(len(many)) <= *s.MaxItems {
				many = append(many, x[0])
			}
			if !s.UniqueItems {
				list = append(list, wrong{"too many items", many})
			}
		}
		if s.UniqueItems && (s.MaxItems == nil || uint64(len(x)) < *s.MaxItems) {
			list = append(list, wrong{"duplicate items", append(slices.Clone(x), x[0])})
		}
	}
	return list
}

// whole is an integer, if JSON and parameters can have it as one.
func whole(x float64) any {
	if math.Abs(x) < 1<<62 {
		return int64(x)
	}
	return x
}

func otherType(kind string) any {
	switch kind {
	case openapi3.TypeString:
		return []any{int64(1)} // in a parameter everything is a string
	case openapi3.TypeArray:
		return map[string]any{}
	case openapi3.TypeObject:
		return []any{}
	}
	return "not-a-value"
}

func (n *node) wrongText(x string, v *values) (list []wrong) {
	s := n.schema
	r := []rune(x)
	if s.MinLength > 0 && uint64(len(r)) >= s.MinLength && s.Pattern == "" {
		list = append(list, wrong{"too short", string(r[:s.MinLength-1])})
	}
	if s.MaxLength != nil && *s.MaxLength < longest && s.Pattern == "" {
		list = append(list, wrong{"too long", v.fit(x, int(*s.MaxLength)+1, 0)})
	}
	if n.pattern != nil {
		for _, bad := range []string{x + "?", "?" + x, "??", x + "§", "§"} {
			if !n.pattern.re.MatchString(bad) && fits(bad, int(s.MinLength), lengthLimit(s)) {
				list = append(list, wrong{"pattern", bad})
				break
			}
		}
	}
	switch s.Format {
	case "date", "date-time", "byte":
		list = append(list, wrong{"malformed " + s.Format, "not?a?" + s.Format})
	}
	return list
}

func lengthLimit(s *openapi3.Schema) int {
	if s.MaxLength == nil {
		return 0
	}
	return int(min(*s.MaxLength, math.MaxInt32))
}

// reason is why kin-openapi rejects a request, in a line.
func reason(err error) string {
	text := short(err).Error()
	if s := (*openapi3.SchemaError)(nil); errors.As(err, &s) {
		text = s.Reason
		if at := pointer(s); at != "" {
			text = fmt.Sprintf("%s: %s", at, s.Reason)
		}
	}
	text, _, _ = strings.Cut(text, "\n")
	return text
}
