package contract

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
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
