package contract

import (
	"encoding/json"
	"fmt"
	"testing"
)

// Any schema of a body has valid requests, or its operation is reported as not requested.
func FuzzSchema(f *testing.F) {
	for _, s := range []string{
		`{"type":"object","required":["a"],"properties":{"a":{"type":"integer","multipleOf":7,"minimum":3,"maximum":30},"b":{"type":"array","uniqueItems":true,"items":{"type":"boolean"}}}}`,
		`{"oneOf":[{"type":"integer","maximum":5},{"type":"integer","minimum":3}]}`,
		`{"allOf":[{"type":"string","minLength":3},{"pattern":"^a+$","maxLength":4}]}`,
		`{"type":"array","minItems":3,"uniqueItems":true,"items":{"enum":[1,2]}}`,
		`{"not":{"type":"string"},"nullable":true}`,
		`{"type":"number","minimum":1,"exclusiveMinimum":true,"maximum":1.001}`,
		`{"type":"object","minProperties":2,"additionalProperties":{"type":"string","format":"date"}}`,
		`{"type":"string","pattern":"^[^a-z]{2}(x|\\d+)?$","maxLength":9}`,
		`{"anyOf":[{"type":"object","properties":{"a":{"type":"string","readOnly":true}}},{"type":"string","enum":["x"]}]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, schema string) {
		if !json.Valid([]byte(schema)) || len(schema) > 2000 {
			return
		}
		c, err := Parse("x", fmt.Appendf(nil, `{"openapi":"3.0.3","info":{"title":"a","version":"b"},"paths":{"/a":{"post":{"operationId":"o",
			"parameters":[{"name":"p","in":"query","schema":%[1]s},{"name":"h","in":"header","schema":%[1]s}],
			"requestBody":{"required":true,"content":{"application/json":{"schema":%[1]s}}},
			"responses":{"200":{"description":"d","content":{"application/json":{"schema":%[1]s}}}}}}}}`, schema))
		if err != nil {
			return
		}
		g := c.NewGenerator(1, equal(c), 0.5)
		for n := range uint64(6) {
			r, err := g.Request(n)
			if err != nil {
				continue // it is counted as not sent
			}
			if err := c.validate(r); (err == nil) != (r.Invalid == "") {
				t.Errorf("%s %v %s is invalid by %q: %v", r.Path, r.Header, r.Body, r.Invalid, err)
			}
			if r.Invalid == "" { // its own body fits as a response, unless properties differ by direction
				_ = respond(g, r, 200, r.Header, string(r.Body))
			}
		}
	})
}
