// Package draft2020 keeps schemas from kin-openapi's validator of JSON Schema 2020-12, which OpenAPI 3.1 has, that it would
// check wrongly, or not at all, without saying so.
package draft2020

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// dialects are the values of $schema that change nothing.
var dialects = []string{"", "https://json-schema.org/draft/2020-12/schema", "https://spec.openapis.org/oas/3.1/dialect/base"}

// Detach takes the keywords from a schema that the validator would look up in other documents: it reads local files that
// $dynamicRef names, whoever wrote the contract. It returns what of them is then not checked.
func Detach(s *openapi3.Schema) (notes []string) {
	if !slices.Contains(dialects, s.SchemaDialect) {
		notes = append(notes, fmt.Sprintf("$schema %q is ignored: all schemas are of JSON Schema 2020-12", s.SchemaDialect))
	}
	if s.DynamicRef != "" {
		notes = append(notes, fmt.Sprintf("$dynamicRef %q is not checked: use $ref", s.DynamicRef))
	}
	s.SchemaDialect, s.SchemaID, s.Anchor, s.DynamicRef, s.DynamicAnchor = "", "", "", "", ""
	return notes
}

// Uncheckable returns why the validator cannot check a schema; "": it can. It must not see one that it cannot check.
func Uncheckable(ref *openapi3.SchemaRef) string {
	beside := ""
	_ = ref.WalkSubtree(func(_ string, r *openapi3.SchemaRef) error {
		if r.Ref == "" && r != ref {
			return nil // it is within one of the others
		}
		for _, schema := range []any{r, r.Value} { // kin-openapi writes what is beside a $ref as it was in the document
			if beside = foreign(schema); beside != "" {
				return io.EOF // ends the walk
			}
		}
		return nil
	})
	if beside != "" {
		return "a $ref has " + beside + " beside it"
	}
	// No value is valid, but for the validator of OpenAPI 3.0, which does not know if and then, each one is.
	anything := openapi3.NewSchemaRef("", new(openapi3.Schema))
	nothing := openapi3.NewSchemaRef("", &openapi3.Schema{Not: anything})
	probe := openapi3.Schema{AnyOf: openapi3.SchemaRefs{ref, anything}, If: anything, Then: nothing}
	err := probe.VisitJSON(true, openapi3.EnableJSONSchema2020())
	if s := (*openapi3.SchemaError)(nil); errors.As(err, &s) {
		return ""
	} else if err != nil {
		text, _, _ := strings.Cut(err.Error(), "\n")
		return text
	}
	return "the schema is invalid in JSON Schema 2020-12, or has parts in other files"
}

// foreign returns a keyword of a schema, or of one within it, with which the validator would look it up in other documents.
func foreign(schema any) string {
	var tree any
	if b, err := json.Marshal(schema); err != nil || json.Unmarshal(b, &tree) != nil {
		return "what is no JSON"
	}
	found := ""
	var walk func(node any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			for key, value := range node {
				text, isText := value.(string)
				if isText && (key == "$id" || key == "$dynamicRef" || key == "$schema" && !slices.Contains(dialects, text)) {
					found = key
				}
				walk(value)
			}
		case []any:
			for _, value := range node {
				walk(value)
			}
		}
	}
	walk(tree)
	return found
}

// Needed reports whether a schema has keywords that only this validator has.
func Needed(s *openapi3.Schema) bool {
	return s.Const != nil || len(s.PrefixItems) > 0 || s.Contains != nil || len(s.PatternProperties) > 0 || len(s.DependentSchemas) > 0 || s.PropertyNames != nil ||
		s.UnevaluatedItems.Has != nil || s.UnevaluatedItems.Schema != nil || s.UnevaluatedProperties.Has != nil || s.UnevaluatedProperties.Schema != nil ||
		s.If != nil || s.Then != nil || s.Else != nil || len(s.DependentRequired) > 0 || len(s.Defs) > 0 || s.ContentSchema != nil
}
