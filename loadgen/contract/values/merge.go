package values

import (
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// base returns a schema without its alternatives.
func (c *Compiler) base(s *openapi3.Schema, kind string) *openapi3.Schema {
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
func (c *Compiler) merge(a, b *openapi3.Schema, d *openapi3.Discriminator, ref string) *openapi3.Schema {
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
func (c *Compiler) flatten(s *openapi3.Schema, seen []*openapi3.Schema) *openapi3.Schema {
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
func (c *Compiler) combine(a, b *openapi3.Schema) *openapi3.Schema {
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
	for _, value := range slices.Sorted(maps.Keys(d.Mapping)) {
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

func (c *Compiler) both(a, b *openapi3.SchemaRef) *openapi3.SchemaRef {
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
