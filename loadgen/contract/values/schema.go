// Package values makes values of the schemas of an OpenAPI document, and encodes them as parameters and bodies.
package values

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// Node is a schema, prepared to generate values of it.
type Node struct {
	schema   *openapi3.Schema
	never    bool // no value, or none that is not too deep
	null     bool
	types    []string // without null; empty: any
	enum     []any
	alts     []*Node // a value is of one of them
	props    []property
	closed   bool // no other properties
	extra    *Node
	items    *Node
	prefix   []*Node
	min, max float64 // inclusive, of a number; infinite: none
	pattern  *pattern
	learned  string // normalized name of the property, for which responses may have a value
	name     string // of the property, without case and separators
}

type property struct {
	name     string
	node     *Node
	required bool
	readOnly bool
}

// maxDepth is the limit of schemas in each other. Deeper ones are left out.
const maxDepth = 24

// Compiler makes nodes of schemas, which may be recursive. What it makes it makes once: schemas in each other would
// multiply.
type Compiler struct {
	nodes  map[nodeKey]*Node
	flat   map[*openapi3.Schema]*openapi3.Schema
	bases  map[*openapi3.Schema]*openapi3.Schema // of schemas with alternatives: the rest of them
	merged map[[2]*openapi3.Schema]*openapi3.Schema
}

type nodeKey struct {
	schema *openapi3.Schema
	name   string
}

func NewCompiler() *Compiler {
	return &Compiler{map[nodeKey]*Node{}, map[*openapi3.Schema]*openapi3.Schema{}, map[*openapi3.Schema]*openapi3.Schema{}, map[[2]*openapi3.Schema]*openapi3.Schema{}}
}

// node returns the node of a schema, for a property with a name.
func (c *Compiler) node(ref *openapi3.SchemaRef, name string, depth int) *Node {
	if ref == nil || ref.Value == nil {
		return c.of(&openapi3.Schema{}, name, depth)
	}
	return c.of(ref.Value, name, depth)
}

func (c *Compiler) of(s *openapi3.Schema, name string, depth int) *Node {
	key := nodeKey{s, name}
	if n := c.nodes[key]; n != nil {
		return n
	}
	n := &Node{schema: s, name: Normalized(name)}
	if depth > maxDepth {
		n.never = true
		return n
	}
	c.nodes[key] = n
	c.fill(n, s, name, depth)
	return n
}

func (c *Compiler) fill(n *Node, s *openapi3.Schema, name string, depth int) {
	if s.Always != nil {
		n.never = !*s.Always
		return
	}
	s = c.flatten(s, nil)
	if branches, kind := alternatives(s); kind != "" {
		base := c.base(s, kind)
		for _, b := range branches {
			if b.Value == nil {
				continue
			}
			m := b.Value
			if !base.IsEmpty() || s.Discriminator != nil {
				m = c.merge(base, b.Value, s.Discriminator, b.Ref)
			}
			n.alts = append(n.alts, c.of(m, name, depth+1))
		}
		n.never = !slices.ContainsFunc(n.alts, func(a *Node) bool { return !a.never })
		return
	}
	n.schema = s
	n.null = s.Nullable || s.Type.IncludesNull()
	for _, t := range s.Type.Slice() {
		if t != openapi3.TypeNull {
			n.types = append(n.types, t)
		}
	}
	if len(n.types) == 0 && !s.Type.IncludesNull() {
		n.types = implied(s)
	}
	if len(n.types) == 0 && s.Not != nil && s.Not.Value != nil && s.Not.Value.Type != nil {
		n.types = slices.DeleteFunc([]string{openapi3.TypeString, openapi3.TypeBoolean, openapi3.TypeNumber}, func(t string) bool { return s.Not.Value.Type.Includes(t) })
	}
	if n.enum = s.Enum; s.Const != nil {
		n.enum = []any{s.Const}
	}
	n.min, n.max = bounds(s)
	if s.Pattern != "" {
		n.pattern, _ = compilePattern(s.Pattern) // dropPatterns removed what does not compile
	}
	if n.name != "id" && strings.HasSuffix(n.name, "id") {
		n.learned = n.name
	}
	c.object(n, s, depth)
	if s.Items != nil {
		n.items = c.node(s.Items, strings.TrimSuffix(name, "s"), depth+1)
	}
	for _, p := range s.PrefixItems {
		n.prefix = append(n.prefix, c.node(p, name, depth+1))
	}
}

func (c *Compiler) object(n *Node, s *openapi3.Schema, depth int) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		ref := s.Properties[name]
		if ref == nil || ref.Value == nil {
			continue
		}
		p := property{name: name, node: c.node(ref, name, depth+1), required: slices.Contains(s.Required, name)}
		p.readOnly = ref.Value.ReadOnly || slices.ContainsFunc(ref.Value.AllOf, func(a *openapi3.SchemaRef) bool { return a.Value != nil && a.Value.ReadOnly })
		n.props = append(n.props, p)
	}
	more := s.AdditionalProperties
	n.closed = more.Has != nil && !*more.Has || s.UnevaluatedProperties.Has != nil && !*s.UnevaluatedProperties.Has
	if more.Schema != nil {
		n.extra = c.node(more.Schema, "", depth+1)
	}
	for _, name := range s.Required {
		if s.Properties[name] == nil {
			extra := n.extra
			if extra == nil {
				extra = c.of(&openapi3.Schema{}, name, depth+1)
			}
			n.props = append(n.props, property{name: name, node: extra, required: true})
		}
	}
}

// alternatives returns the schemas of which a value has one, and the keyword; "": none.
func alternatives(s *openapi3.Schema) (openapi3.SchemaRefs, string) {
	switch {
	case len(s.OneOf) > 0:
		return s.OneOf, "oneOf"
	case len(s.AnyOf) > 0:
		return s.AnyOf, "anyOf"
	}
	return nil, ""
}

// implied are the types of a schema without one, by its keywords.
func implied(s *openapi3.Schema) []string {
	switch {
	case len(s.Properties) > 0 || len(s.Required) > 0 || s.AdditionalProperties.Schema != nil || s.MinProps > 0:
		return []string{openapi3.TypeObject}
	case s.Items != nil || len(s.PrefixItems) > 0 || s.MinItems > 0:
		return []string{openapi3.TypeArray}
	case s.Min != nil || s.Max != nil || s.MultipleOf != nil || s.ExclusiveMin.IsSet() || s.ExclusiveMax.IsSet():
		return []string{openapi3.TypeNumber}
	}
	return nil
}

// bounds are the inclusive bounds of a number. Exclusive ones are moved by generate.
func bounds(s *openapi3.Schema) (low, high float64) {
	low, high = math.Inf(-1), math.Inf(1)
	if s.Min != nil {
		low = *s.Min
	}
	if s.Max != nil {
		high = *s.Max
	}
	if v := s.ExclusiveMin.Value; v != nil {
		low = max(low, *v)
	}
	if v := s.ExclusiveMax.Value; v != nil {
		high = min(high, *v)
	}
	if s.Format == "int32" {
		low, high = max(low, math.MinInt32), min(high, math.MaxInt32)
	}
	return low, high
}

var separators = strings.NewReplacer("_", "", "-", "", ".", "")

// Normalized is a name without case and separators.
func Normalized(name string) string {
	return strings.ToLower(separators.Replace(name))
}
