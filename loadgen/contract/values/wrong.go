package values

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// Break is a way to make a value invalid.
type Break struct {
	Kind  string // as in "below the minimum"
	Where string
	Apply func()
}

// Breaks returns the ways to break the value of a body, which set replaces.
func (b *Body) Breaks(value any, v *Values, set func(any)) (list []Break) {
	walk(b.Node, value, "body", v, set, &list)
	return list
}

// Wrong returns values that a parameter rejects, as text. Value is a valid one.
func (p *Param) Wrong(value any, v *Values) (list []Break, texts []string) {
	for _, w := range p.node.wrong(value, v) {
		text, ok := Primitive(w.value)
		if ok && text != "" && p.Safe(text) {
			list, texts = append(list, Break{Kind: w.kind}), append(texts, text)
		}
	}
	return list, texts
}

// Numeric reports whether the value is a number.
func (p *Param) Numeric() bool { return p.node.numeric() }

func (n *Node) numeric() bool {
	return slices.Contains(n.types, openapi3.TypeInteger) || slices.Contains(n.types, openapi3.TypeNumber)
}

// walk collects the ways to break a value, which set replaces.
func walk(n *Node, value any, where string, v *Values, set func(any), list *[]Break) {
	if len(n.alts) > 0 {
		return // what one schema rejects, another one may accept
	}
	for _, w := range n.wrong(value, v) {
		*list = append(*list, Break{w.kind, where, func() { set(w.value) }})
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
				*list = append(*list, Break{"missing required property", at, func() { delete(x, p.name) }})
			}
			if child != nil && !p.node.null && len(p.node.types) > 0 {
				*list = append(*list, Break{"null", at, func() { x[p.name] = nil }})
			}
			walk(p.node, child, at, v, func(y any) { x[p.name] = y }, list)
		}
		if n.closed {
			*list = append(*list, Break{"unknown property", where, func() { x["no_such_property"] = true }})
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
func (n *Node) wrong(value any, v *Values) (list []wrong) {
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
		if x, ok := Primitive(value); ok && s.MultipleOf != nil {
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

func (n *Node) wrongText(x string, v *Values) (list []wrong) {
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
