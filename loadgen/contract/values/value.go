package values

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/brianvoe/gofakeit/v7"
	"github.com/getkin/kin-openapi/openapi3"
)

// generation is how many optional properties and parameters a request has.
type Generation int

const (
	Some Generation = iota
	None
	All
)

// Values generates values of schemas. It is for one request.
type Values struct {
	*gofakeit.Faker
	r        *rand.Rand
	Optional Generation
	InBody   bool // the value is one of a body
	// Known returns a value that a response had, for a property with a normalized name.
	Known func(name string) (string, bool)
	left  int // how much more the value can have
}

// largest is the most that a value has: values in it, and runs of 16 characters. What schemas demand beyond, as a
// minLength of 10^9, is not made.
const largest = 1 << 14

// spend reports whether the value can have n more.
func (v *Values) spend(n int) bool {
	v.left -= n
	return v.left >= 0
}

func New(seed, n uint64, g Generation) *Values {
	src := rand.NewPCG(seed, n*0x9e3779b97f4a7c15)
	return &Values{Faker: gofakeit.NewFaker(src, false), r: rand.New(src), Optional: g, left: largest}
}

// Chance is true once in n times.
func (v *Values) Chance(n int) bool { return v.r.IntN(n) == 0 }

// deepest is from which depth on values have no optional parts.
const deepest = 6

// value returns a value of a schema that is probably valid; false: there is none.
func (v *Values) value(n *Node, depth int) (any, bool) {
	switch {
	case n.never || depth > maxDepth || !v.spend(1):
		return nil, false
	case len(n.alts) > 0:
		from := v.r.IntN(len(n.alts))
		for i := range n.alts {
			if x, ok := v.value(n.alts[(from+i)%len(n.alts)], depth+1); ok {
				return x, true
			}
		}
		return nil, false
	case len(n.enum) > 0:
		return clone(n.enum[v.r.IntN(len(n.enum))]), true
	case n.null && depth > 0 && v.Optional != All && v.Chance(16):
		return nil, true
	}
	if example, ok := n.example(v); ok && v.Chance(4) {
		return clone(example), true
	}
	if n.learned != "" && v.Known != nil {
		if text, ok := v.Known(n.learned); ok {
			if x, ok := n.parse(text); ok {
				return x, true
			}
		}
	}
	kind := openapi3.TypeString
	switch {
	case len(n.types) > 0:
		kind = n.types[v.r.IntN(len(n.types))]
	case n.null:
		return nil, true
	}
	switch kind {
	case openapi3.TypeObject:
		return v.object(n, depth)
	case openapi3.TypeArray:
		return v.array(n, depth)
	case openapi3.TypeInteger:
		return v.integer(n)
	case openapi3.TypeNumber:
		return v.number(n)
	case openapi3.TypeBoolean:
		return v.Chance(2), true
	}
	return v.text(n)
}

// clone returns a copy of a value of the document: what is made is changed later.
func clone(value any) any {
	switch x := value.(type) {
	case map[string]any:
		m := make(map[string]any, len(x))
		for name, y := range x {
			m[name] = clone(y)
		}
		return m
	case []any:
		list := make([]any, len(x))
		for i, y := range x {
			list[i] = clone(y)
		}
		return list
	}
	return value
}

// example returns an example of the schema, or its default.
func (n *Node) example(v *Values) (any, bool) {
	s := n.schema
	switch {
	case len(s.Examples) > 0:
		return s.Examples[v.r.IntN(len(s.Examples))], true
	case s.Example != nil:
		return s.Example, true
	}
	return s.Default, s.Default != nil
}

// parse returns the value that a text has as a value of the schema.
func (n *Node) parse(text string) (any, bool) {
	for _, alt := range n.alts {
		if x, ok := alt.parse(text); ok {
			return x, true
		}
	}
	var x any = text
	for _, t := range n.types {
		switch t {
		case openapi3.TypeInteger, openapi3.TypeNumber:
			if _, err := strconv.ParseFloat(text, 64); err == nil {
				x = json.Number(text)
			}
		}
	}
	return x, len(n.alts) == 0 && !n.never && n.schema.VisitJSON(x, openapi3.FailFast()) == nil
}

func (v *Values) object(n *Node, depth int) (any, bool) {
	if n.schema.MinProps > largest {
		return nil, false
	}
	m := map[string]any{}
	limit := math.MaxInt
	if n.schema.MaxProps != nil {
		limit = int(*n.schema.MaxProps)
	}
	add := func(p property) bool {
		x, ok := v.value(p.node, depth+1)
		if ok {
			m[p.name] = x
		}
		return ok
	}
	for _, p := range n.props {
		if p.required && !p.readOnly && !add(p) {
			return nil, false
		}
	}
	for range 2 { // the second time until there are enough
		for _, p := range n.props {
			if _, has := m[p.name]; has || p.readOnly || len(m) >= limit {
				continue
			}
			few := uint64(len(m)) < n.schema.MinProps
			wanted := v.Optional == All && depth < 2 || v.Optional != None && v.Chance(2+depth)
			if few || wanted && depth < deepest && !v.assigned(p) {
				add(p)
			}
		}
		if uint64(len(m)) >= n.schema.MinProps {
			break
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.schema.DependentRequired)) {
		if _, has := m[name]; has && !v.dependents(n, m, name, depth) {
			return nil, false
		}
	}
	if n.extra != nil && !n.closed && len(n.props) == 0 && depth < deepest && v.Optional != None {
		for range 1 + v.r.IntN(3) {
			v.more(n, m, limit, depth)
		}
	}
	for i := 0; uint64(len(m)) < n.schema.MinProps; i++ {
		if n.closed || v.left < 0 || i > 10*int(n.schema.MinProps) {
			return nil, false
		}
		v.more(n, m, limit, depth)
	}
	return m, true
}

// dependents adds the properties that another one requires.
func (v *Values) dependents(n *Node, m map[string]any, name string, depth int) bool {
	for _, other := range n.schema.DependentRequired[name] {
		if _, has := m[other]; has {
			continue
		}
		m[other] = v.word()
		for _, p := range n.props {
			if p.name == other {
				x, ok := v.value(p.node, depth+1)
				if m[other] = x; !ok {
					return false
				}
			}
		}
	}
	return true
}

// assigned reports whether the service assigns a property of a body: one that a client chose is probably taken.
func (v *Values) assigned(p property) bool { return v.InBody && p.node.name == "id" }

// more adds a property that the schema does not name.
func (v *Values) more(n *Node, m map[string]any, limit, depth int) {
	if len(m) >= limit || !v.spend(1) {
		return
	}
	var x any = v.word()
	ok := true
	if n.extra != nil {
		x, ok = v.value(n.extra, depth+1)
	}
	if ok {
		m[fmt.Sprintf("%s%d", v.word(), len(m))] = x
	}
}

func (v *Values) array(n *Node, depth int) (any, bool) {
	s := n.schema
	if s.MinItems > largest {
		return nil, false
	}
	least, most := s.MinItems, s.MinItems+3
	if least == 0 && v.Optional != None && depth < deepest {
		least = 1
	}
	if s.MaxItems != nil {
		most = min(most, *s.MaxItems)
	}
	least = min(least, most)
	if depth >= deepest || v.Optional == None {
		most = least
	}
	count := int(least) + v.r.IntN(int(most-least)+1)
	list, seen := make([]any, 0, count), map[string]bool{}
	for i := 0; len(list) < count && i < 20*(count+1); i++ {
		item := n.items
		if len(list) < len(n.prefix) {
			item = n.prefix[len(list)]
		}
		if item == nil {
			if !v.spend(1) {
				break
			}
			list = append(list, v.word())
			continue
		}
		x, ok := v.value(item, depth+1)
		if !ok {
			break
		}
		if s.UniqueItems {
			b, err := json.Marshal(x)
			if err != nil || seen[string(b)] {
				continue
			}
			seen[string(b)] = true
		}
		list = append(list, x)
	}
	return list, uint64(len(list)) >= s.MinItems
}

func (v *Values) word() string { return strings.ToLower(strings.ReplaceAll(v.Noun(), " ", "-")) }

// Unit returns a number in [0, 1).
func (v *Values) Unit() float64 { return v.r.Float64() }

// attempts is how many values are generated until one is valid.
const attempts = 10

// Valid generates a value that satisfies a schema.
func (v *Values) Valid(n *Node, ref *openapi3.SchemaRef, check func(any) bool, options ...openapi3.SchemaValidationOption) (any, bool) {
	optional := v.Optional
	defer func() { v.Optional = optional }()
	for i := range attempts {
		switch { // a form that is empty, for instance, or properties that exclude each other
		case i == attempts/2 && optional != Some:
			v.Optional = Some
		case i == attempts-2 && optional != None:
			v.Optional = None
		}
		v.left = largest
		x, ok := v.value(n, 0)
		if !ok || check != nil && !check(x) {
			continue
		}
		if ref == nil || ref.Value == nil || ref.Value.VisitJSON(x, options...) == nil {
			return x, true
		}
	}
	return nil, false
}
