package contract

import (
	"math"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// node is a schema, prepared to generate values of it.
type node struct {
	schema   *openapi3.Schema
	never    bool // no value, or none that is not too deep
	null     bool
	types    []string // without null; empty: any
	enum     []any
	alts     []*node // a value is of one of them
	props    []property
	closed   bool // no other properties
	extra    *node
	items    *node
	prefix   []*node
	min, max float64 // inclusive, of a number; infinite: none
	pattern  *pattern
	learned  string // normalized name of the property, for which responses may have a value
	name     string // of the property, without case and separators
}

type property struct {
	name     string
	node     *node
	required bool
	readOnly bool
}

// maxDepth is the limit of schemas in each other. Deeper ones are left out.
const maxDepth = 24

// compiler makes nodes of schemas, which may be recursive. What it makes it makes once: schemas in each other would
// multiply.
type compiler struct {
	nodes  map[nodeKey]*node
	flat   map[*openapi3.Schema]*openapi3.Schema
	bases  map[*openapi3.Schema]*openapi3.Schema // of schemas with alternatives: the rest of them
	merged map[[2]*openapi3.Schema]*openapi3.Schema
}

type nodeKey struct {
	schema *openapi3.Schema
	name   string
}

func newCompiler() *compiler {
	return &compiler{map[nodeKey]*node{}, map[*openapi3.Schema]*openapi3.Schema{}, map[*openapi3.Schema]*openapi3.Schema{}, map[[2]*openapi3.Schema]*openapi3.Schema{}}
}

// node returns the node of a schema, for a property with a name.
func (c *compiler) node(ref *openapi3.SchemaRef, name string, depth int) *node {
	if ref == nil || ref.Value == nil {
		return c.of(&openapi3.Schema{}, name, depth)
	}
	return c.of(ref.Value, name, depth)
}

func (c *compiler) of(s *openapi3.Schema, name string, depth int) *node {
	key := nodeKey{s, name}
	if n := c.nodes[key]; n != nil {
		return n
	}
	n := &node{schema: s, name: normalized(name)}
	if depth > maxDepth {
		n.never = true
		return n
	}
	c.nodes[key] = n
	c.fill(n, s, name, depth)
	return n
}

func (c *compiler) fill(n *node, s *openapi3.Schema, name string, depth int) {
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
		n.never = !slices.ContainsFunc(n.alts, func(a *node) bool { return !a.never })
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

func (c *compiler) object(n *node, s *openapi3.Schema, depth int) {
	for _, name := range slices.Sorted(mapKeys(s.Properties)) {
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

// base returns a schema without its alternatives.
func (c *compiler) base(s *openapi3.Schema, kind string) *openapi3.Schema {
	if base := c.bases[s]; base != nil {
		return base
	}
	base := *s
	base.OneOf, base.AnyOf, base.Discriminator = nil, nil, nil
	if kind == "oneOf" {
		base.AnyOf = s.AnyOf
	}
	c.bases[s] = &base
	return &base
}

// merge returns the schema of both, limited to one of the discriminator's values if there is one.
func (c *compiler) merge(a, b *openapi3.Schema, d *openapi3.Discriminator, ref string) *openapi3.Schema {
	key := [2]*openapi3.Schema{a, b}
	if m := c.merged[key]; m != nil {
		return m
	}
	m := c.combine(a, b)
	if d != nil {
		m = discriminated(m, d, ref)
	}
	c.merged[key] = m
	return m
}

// flatten returns a schema with those of its allOf.
func (c *compiler) flatten(s *openapi3.Schema, seen []*openapi3.Schema) *openapi3.Schema {
	if len(s.AllOf) == 0 {
		return s
	}
	if m := c.flat[s]; m != nil {
		return m
	}
	base := *s
	base.AllOf = nil
	m := &base
	for _, ref := range s.AllOf {
		if ref.Value != nil && !slices.Contains(seen, ref.Value) {
			m = c.combine(m, c.flatten(ref.Value, append(seen, s)))
		}
	}
	c.flat[s] = m
	return m
}

// combine returns a schema of the values that are of both schemas. What it cannot express is left out: values are
// validated, too.
func (c *compiler) combine(a, b *openapi3.Schema) *openapi3.Schema {
	b = c.flatten(b, nil)
	m := *a
	if b.Type != nil {
		if m.Type == nil {
			m.Type = b.Type
		} else {
			m.Type = common(*m.Type, *b.Type)
		}
	}
	m.Nullable = a.Nullable && b.Nullable
	if a.IsEmpty() {
		m.Nullable = b.Nullable
	}
	m.ReadOnly, m.UniqueItems = a.ReadOnly || b.ReadOnly, a.UniqueItems || b.UniqueItems
	m.Format, m.Pattern = first(a.Format, b.Format), first(a.Pattern, b.Pattern)
	if len(b.Enum) > 0 {
		if m.Enum = b.Enum; len(a.Enum) > 0 {
			m.Enum = slices.DeleteFunc(slices.Clone(a.Enum), func(v any) bool {
				return (&openapi3.Schema{Enum: b.Enum}).VisitJSON(v) != nil
			})
		}
	}
	if m.Const == nil {
		m.Const = b.Const
	}
	if m.Example == nil {
		m.Example = b.Example
	}
	m.Min, m.Max = outer(a.Min, b.Min, false), outer(a.Max, b.Max, true)
	if b.ExclusiveMin.IsSet() {
		m.ExclusiveMin = b.ExclusiveMin
	}
	if b.ExclusiveMax.IsSet() {
		m.ExclusiveMax = b.ExclusiveMax
	}
	if m.MultipleOf == nil {
		m.MultipleOf = b.MultipleOf
	}
	m.MinLength, m.MinItems, m.MinProps = max(a.MinLength, b.MinLength), max(a.MinItems, b.MinItems), max(a.MinProps, b.MinProps)
	m.MaxLength, m.MaxItems, m.MaxProps = lower(a.MaxLength, b.MaxLength), lower(a.MaxItems, b.MaxItems), lower(a.MaxProps, b.MaxProps)
	m.Items = c.both(a.Items, b.Items)
	if len(m.PrefixItems) == 0 {
		m.PrefixItems = b.PrefixItems
	}
	m.Required = append(slices.Clone(a.Required), b.Required...)
	m.Properties = openapi3.Schemas{}
	for name, ref := range a.Properties {
		m.Properties[name] = c.both(ref, b.Properties[name])
	}
	for name, ref := range b.Properties {
		if m.Properties[name] == nil {
			m.Properties[name] = ref
		}
	}
	if b.AdditionalProperties.Has != nil || b.AdditionalProperties.Schema != nil {
		m.AdditionalProperties = b.AdditionalProperties
	}
	switch {
	case len(b.OneOf) > 0 && len(m.OneOf) == 0:
		m.OneOf, m.Discriminator = b.OneOf, b.Discriminator
	case len(b.AnyOf) > 0 && len(m.AnyOf) == 0:
		m.AnyOf = b.AnyOf
	}
	return &m
}

// discriminated limits the discriminator's property to the value of one of the schemas.
func discriminated(s *openapi3.Schema, d *openapi3.Discriminator, ref string) *openapi3.Schema {
	name := ref[strings.LastIndexByte(ref, '/')+1:]
	for _, value := range slices.Sorted(mapKeys(d.Mapping)) {
		if to := d.Mapping[value].Ref; to == ref || to == name {
			name = value
			break
		}
	}
	if name == "" {
		return s
	}
	m := *s
	m.Properties = openapi3.Schemas{}
	for k, v := range s.Properties {
		m.Properties[k] = v
	}
	m.Properties[d.PropertyName] = openapi3.NewSchemaRef("", &openapi3.Schema{Type: &openapi3.Types{openapi3.TypeString}, Enum: []any{name}})
	m.Required = append(slices.Clone(s.Required), d.PropertyName)
	return &m
}

func common(a, b openapi3.Types) *openapi3.Types {
	list := openapi3.Types{}
	for _, t := range a {
		switch {
		case slices.Contains(b, t):
			list = append(list, t)
		case t == openapi3.TypeNumber && slices.Contains(b, openapi3.TypeInteger), t == openapi3.TypeInteger && slices.Contains(b, openapi3.TypeNumber):
			list = append(list, openapi3.TypeInteger)
		}
	}
	return &list
}

func (c *compiler) both(a, b *openapi3.SchemaRef) *openapi3.SchemaRef {
	switch {
	case a == nil:
		return b
	case b == nil || a.Value == b.Value:
		return a
	}
	key := [2]*openapi3.Schema{b.Value, a.Value} // not that of merge
	m := c.merged[key]
	if m == nil {
		m = &openapi3.Schema{AllOf: openapi3.SchemaRefs{a, b}}
		c.merged[key] = m
	}
	return openapi3.NewSchemaRef("", m)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func outer(a, b *float64, least bool) *float64 {
	if a == nil || b != nil && (*b < *a) == least {
		return b
	}
	return a
}

func lower(a, b *uint64) *uint64 {
	if a == nil || b != nil && *b < *a {
		return b
	}
	return a
}

// normalized is a name without case and separators.
func normalized(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "").Replace(name))
}
