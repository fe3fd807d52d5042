package contract

import (
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
)

// dialects are the values of $schema that change nothing.
var dialects = []string{"", "https://json-schema.org/draft/2020-12/schema", "https://spec.openapis.org/oas/3.1/dialect/base"}

// standAlone takes the keywords from a schema that the validator of JSON Schema 2020-12 would look up in other documents:
// it reads local files that $dynamicRef names, whoever wrote the contract.
func (c *Contract) standAlone(s *openapi3.Schema) {
	if !slices.Contains(dialects, s.SchemaDialect) {
		c.note("", "$schema %q is ignored: all schemas are of JSON Schema 2020-12", s.SchemaDialect)
	}
	if s.DynamicRef != "" {
		c.note("", "$dynamicRef %q is not checked: use $ref", s.DynamicRef)
	}
	s.SchemaDialect, s.SchemaID, s.Anchor, s.DynamicRef, s.DynamicAnchor = "", "", "", "", ""
}

// isModern reports whether a schema, or one below it, needs the validator of JSON Schema 2020-12. If that rejects the
// schema, kin-openapi would silently check only what OpenAPI 3.0 has: then a note says so.
func (c *Contract) isModern(ref *openapi3.SchemaRef, operation, where string) bool {
	if !c.modern || !anySchema(ref, modern) {
		return false
	}
	// No value is valid, but for the validator of OpenAPI 3.0, which does not know if and then, each one is.
	anything := openapi3.NewSchemaRef("", new(openapi3.Schema))
	nothing := openapi3.NewSchemaRef("", &openapi3.Schema{Not: anything})
	probe := openapi3.Schema{AnyOf: openapi3.SchemaRefs{ref, anything}, If: anything, Then: nothing}
	if probe.VisitJSON(true, openapi3.EnableJSONSchema2020()) != nil {
		return true
	}
	c.note(operation, "%s: keywords that OpenAPI 3.0 does not have (const, if, prefixItems and so on) are not checked: the schema is invalid in JSON Schema 2020-12", where)
	return false
}

// modern reports whether a schema has keywords of JSON Schema 2020-12 that only its validator has.
func modern(s *openapi3.Schema) bool {
	return s.Const != nil || len(s.PrefixItems) > 0 || s.Contains != nil || len(s.PatternProperties) > 0 || len(s.DependentSchemas) > 0 || s.PropertyNames != nil ||
		s.UnevaluatedItems.Has != nil || s.UnevaluatedItems.Schema != nil || s.UnevaluatedProperties.Has != nil || s.UnevaluatedProperties.Schema != nil ||
		s.If != nil || s.Then != nil || s.Else != nil || len(s.DependentRequired) > 0 || len(s.Defs) > 0 || s.ContentSchema != nil
}
