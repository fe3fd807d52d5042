package contract

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// document is one with an operation whose body has a schema.
func document(schema, components string) string {
	return `{"openapi":"3.0.3","info":{"title":"t","version":"1"},"paths":{"/a":{"post":{"operationId":"createA",
"requestBody":{"required":true,"content":{"application/json":{"schema":` + schema + `}}},"responses":{"200":{"description":"ok"}}}}},
"components":{"schemas":{` + components + `}}}`
}

// Schemas that demand more than memory holds are errors, and those in each other end.
func TestHostileSchemas(t *testing.T) {
	t.Parallel()
	const impossible = "createA: request body: no valid value was found"
	nested := `{"type":"string"}`
	for range 5 {
		nested = `{"type":"array","minItems":100,"items":` + nested + `}`
	}
	cycle := ""
	for i, name := range []string{"A", "B", "C"} {
		props := ""
		for k := range 3 {
			props += fmt.Sprintf(`,"p%d":{"$ref":"#/components/schemas/%c"}`, k, "ABC"[(i+k)%3])
		}
		all := ""
		if name == "A" {
			all = `{"$ref":"#/components/schemas/B"},{"$ref":"#/components/schemas/C"},`
		}
		cycle += fmt.Sprintf(`,"%s":{"allOf":[%s{"type":"object","properties":{%s}}]}`, name, all, props[1:])
	}
	for _, tt := range []struct{ name, schema, components, err string }{
		{"minLength", `{"type":"string","minLength":2000000000}`, "", impossible},
		{"pattern and minLength", `{"type":"string","pattern":"^.*$","minLength":2000000000}`, "", impossible},
		{"minItems", `{"type":"array","items":{"type":"string"},"minItems":1000000000}`, "", impossible},
		{"minItems beyond int", `{"type":"array","items":{"type":"string"},"minItems":9000000000000000000}`, "", impossible},
		{"nested minItems", nested, "", impossible},
		{"minProperties", `{"type":"object","minProperties":1000000000}`, "", impossible},
		{"repetitions of repetitions", `{"type":"string","pattern":"^((((((((((a*b)*c)*d)*e)*f)*g)*h)*i)*j)*k)*$"}`, "", ""},
		{"long pattern", `{"type":"string","pattern":"^[a-z]+$","minLength":3000}`, "", ""},
		{"allOf of each other", `{"$ref":"#/components/schemas/A"}`, cycle[1:], ""},
	} {
		c, err := Parse("a.json", []byte(document(tt.schema, tt.components)))
		switch {
		case tt.err != "":
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
			}
		case err != nil:
			t.Errorf("%s: %v", tt.name, err)
		default:
			g := c.NewGenerator(1, equal(c), 0)
			for n := range uint64(20) {
				if _, err := g.Request(n); err != nil {
					t.Errorf("%s: %v", tt.name, err)
				}
			}
		}
	}
}

// What breaks a request does not break the document's examples, which all requests share.
func TestExamplesStay(t *testing.T) {
	t.Parallel()
	c, err := Parse("a.json", []byte(document(`{"type":"object","required":["name","sub"],"example":{"name":"example","sub":{"k":"v"},"list":[1]},
"properties":{"name":{"type":"string"},"sub":{"type":"object","required":["k"],"properties":{"k":{"type":"string"}}},"list":{"type":"array","minItems":1,"items":{"type":"integer"}}}}`, "")))
	if err != nil {
		t.Fatal(err)
	}
	example := c.Operations[0].body.Media.Schema.Value.Example
	before := fmt.Sprint(example)
	g := c.NewGenerator(1, equal(c), 1)
	var all sync.WaitGroup
	for first := range uint64(4) {
		all.Go(func() {
			for n := range uint64(200) {
				if r, err := g.Request(4*n + first); err != nil || r.Invalid == "" {
					t.Errorf("%+v, %v", r, err)
				}
			}
		})
	}
	all.Wait()
	if after := fmt.Sprint(example); after != before {
		t.Errorf("the example is %s, was %s", after, before)
	}
}

// Credentials that are rejected say nothing of the request that they came with.
func TestUnauthorized(t *testing.T) {
	t.Parallel()
	for invalid, want := range map[string]bool{"body /name: null": false, "header X-Key: missing required parameter": true, "cookie key: pattern": true} {
		if r := (&Request{Invalid: invalid}); r.Expects(http.StatusUnauthorized) != want {
			t.Errorf("%s expects 401: %t", invalid, !want)
		}
	}
}

// A 204 has no body, whatever is documented for other statuses.
func TestNoContent(t *testing.T) {
	t.Parallel()
	source := strings.Replace(document(`{"type":"string"}`, ""), `"responses":{`, `"responses":{"default":{"description":"error","content":{"application/json":{"schema":{"type":"object"}}}},`, 1)
	c, err := Parse("a.json", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	r := &Request{Operation: c.Operations[0]}
	if f := respond(c.NewGenerator(1, equal(c), 0), r, http.StatusNoContent, http.Header{}, ""); f != nil {
		t.Error(f)
	}
	if f := respond(c.NewGenerator(1, equal(c), 0), r, http.StatusAccepted, http.Header{}, ""); f == nil {
		t.Error("a 202 without its body is good")
	}
}

// Objects that others created may be deleted by them: with deletes in the mix, a run that creates objects uses its own.
func TestOthersIDs(t *testing.T) {
	t.Parallel()
	p := newPool()
	p.deletes = true
	p.add([]string{"other"}, false)
	if key, ok := p.pick(0.5); !ok || key != "other" {
		t.Errorf("%q, %t before the run creates anything", key, ok)
	}
	for _, created := range []string{"other", "1", "2", "3"} { // the list had an object of the run before its own response
		p.add([]string{created}, true)
		p.add([]string{"listed" + created}, false)
	}
	if got := fmt.Sprint(p.list, p.reserved); got != "[1 3] [other 2]" {
		t.Error(got)
	}
	p.deletes = false
	p.add([]string{"listed"}, false)
	if got := fmt.Sprint(p.list); got != "[1 3 listed]" {
		t.Error(got)
	}
}
