package contract

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"

	"soundcheck/loadgen/contract/draft2020"
	"soundcheck/loadgen/contract/values"
)

// errReference is why a reference is not followed.
var errReference = errors.New("references to other hosts are not followed: bundle the document into one file")

// read returns a document, and how many files it has.
func read(name string, source []byte, files bool) (*openapi3.T, int, error) {
	n := 1
	loader := openapi3.NewLoader()
	loader.ReadFromURIFunc = func(_ *openapi3.Loader, u *url.URL) ([]byte, error) {
		if u.Scheme != "" && u.Scheme != "file" || u.Host != "" {
			return nil, fmt.Errorf("%s: %w", u, errReference)
		}
		if !files {
			return nil, fmt.Errorf("%s: the document has more than one file: bundle it into one", u.Path)
		}
		n++
		return os.ReadFile(filepath.FromSlash(u.Path))
	}
	doc, err := loader.LoadFromDataWithPath(source, &url.URL{Path: filepath.ToSlash(name)})
	return doc, n, err
}

// survey looks at all schemas. It removes patterns that Go does not have, such as lookaheads: nothing is checked against
// them.
func (c *Contract) survey(doc *openapi3.T) {
	_ = doc.WalkSchemas(func(_ string, ref *openapi3.SchemaRef) error {
		s := ref.Value
		if doc.IsOpenAPI31OrLater() {
			c.modern = c.modern || draft2020.Needed(s)
			for _, text := range draft2020.Detach(s) {
				c.note("", "%s", text)
			}
		}
		for name, property := range s.Properties {
			if writeOnly(property, 0) {
				c.write[name] = true
			}
		}
		c.hide = c.hide || writeOnly(s.AdditionalProperties.Schema, 0)
		for _, property := range s.PatternProperties {
			c.hide = c.hide || writeOnly(property, 0)
		}
		if !c.checkable(s.Pattern) {
			s.Pattern = ""
		}
		maps.DeleteFunc(s.PatternProperties, func(pattern string, _ *openapi3.SchemaRef) bool { return !c.checkable(pattern) })
		return nil
	})
}

// writeOnly reports whether only requests have a property, or what its schema is made of.
func writeOnly(ref *openapi3.SchemaRef, depth int) bool {
	if ref == nil || ref.Value == nil || depth > 8 {
		return false
	}
	s := ref.Value
	parts := slices.Concat(s.AllOf, s.AnyOf, s.OneOf, openapi3.SchemaRefs{s.Items})
	return s.WriteOnly || slices.ContainsFunc(parts, func(part *openapi3.SchemaRef) bool { return writeOnly(part, depth+1) })
}

// checkable reports whether Go has a pattern.
func (c *Contract) checkable(pattern string) bool {
	if pattern == "" {
		return true
	}
	err := values.CheckPattern(pattern)
	if err != nil {
		c.note("", "pattern %q is not checked: %v", pattern, err)
	}
	return err == nil
}

// separate takes requests from a second copy of the document. The validator of JSON Schema 2020-12 knows nothing of
// readOnly and writeOnly: required properties that only responses have are not so in requests, and the other way round.
// A property that only requests have violates the schema of a response, as with the validator of OpenAPI 3.0.
func (c *Contract) separate(files bool) error {
	requests, _, err := read(c.Name, c.Source, files)
	if err != nil {
		return err
	}
	c.survey(requests)
	notRequired(requests, func(s *openapi3.Schema) bool { return s.ReadOnly })
	notRequired(c.doc, func(s *openapi3.Schema) bool { return s.WriteOnly })
	forbidWriteOnly(c.doc)
	for path, item := range c.doc.Paths.Map() {
		copied := requests.Paths.Value(path)
		item.Parameters = copied.Parameters
		for method, op := range item.Operations() {
			op.RequestBody, op.Parameters = copied.Operations()[method].RequestBody, copied.Operations()[method].Parameters
		}
	}
	return nil
}

// notRequired makes properties optional.
func notRequired(doc *openapi3.T, is func(*openapi3.Schema) bool) {
	_ = doc.WalkSchemas(func(_ string, ref *openapi3.SchemaRef) error {
		s := ref.Value
		s.Required = slices.DeleteFunc(s.Required, func(name string) bool {
			p := s.Properties[name]
			return p != nil && p.Value != nil && is(p.Value)
		})
		return nil
	})
}

// unwritten is the only value, besides null, that forbidWriteOnly leaves to a property. Errors have it.
const unwritten = "(no value: the property is writeOnly)"

// forbidWriteOnly gives properties that only requests have a schema that no value of a response has, but for null if it
// was allowed.
func forbidWriteOnly(doc *openapi3.T) {
	_ = doc.WalkSchemas(func(_ string, ref *openapi3.SchemaRef) error {
		for name, p := range ref.Value.Properties {
			if p == nil || p.Value == nil || !p.Value.WriteOnly {
				continue
			}
			never := &openapi3.Schema{WriteOnly: true, Enum: []any{unwritten}}
			if t := p.Value.Type; t == nil || t.IncludesNull() {
				never.Nullable, never.Enum = true, append(never.Enum, nil)
			}
			ref.Value.Properties[name] = &openapi3.SchemaRef{Value: never}
		}
		return nil
	})
}
