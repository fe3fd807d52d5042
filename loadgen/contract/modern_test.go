package contract

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Only the first of several values is checked by the validator of JSON Schema 2020-12, which 3.1 needs.
func TestModern(t *testing.T) {
	t.Parallel()
	c := load(t, "modern.yaml")
	g := c.NewGenerator(1, equal(c), 0)
	json := http.Header{"Content-Type": {"application/json"}}
	if f := respond(g, &Request{Operation: c.Operation("send")}, 200, json, `{"ok":false}`); f == nil || f.Check != "response violates the contract: 200 body /ok: const" {
		t.Errorf("%+v", f)
	}
	if f := respond(g, &Request{Operation: c.Operation("plain"), path: []string{"a"}}, 200, json, `null`); f != nil {
		t.Errorf("%+v", f)
	}
}

// The validator of JSON Schema 2020-12 does not know which properties only requests or responses have.
func TestModernReadOnly(t *testing.T) {
	t.Parallel()
	const schema = `{"type":"object","required":["id","kind","secret"],"additionalProperties":false,"properties":{"id":{"type":"integer","readOnly":true},"kind":{"const":"order"},"secret":{"type":"string","writeOnly":true}}}`
	source := strings.Replace(document(`{"$ref":"#/components/schemas/Order"}`, `"Order":`+schema), "3.0.3", "3.1.0", 1)
	source = strings.Replace(source, `"200":{"description":"ok"}`, `"200":{"description":"ok","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Order"}}}}`, 1)
	c, err := Parse("a.json", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	g := c.NewGenerator(1, equal(c), 0)
	r := send(t, g, "createA")
	if body := string(r.Body); strings.Contains(body, "id") || !strings.Contains(body, "secret") {
		t.Error(body)
	}
	json := http.Header{"Content-Type": {"application/json"}}
	if f := respond(g, r, 200, json, `{"id":7,"kind":"order"}`); f != nil {
		t.Error(f)
	}
	if f := respond(g, r, 200, json, `{"kind":"order"}`); f == nil || !strings.Contains(f.Detail, "id") {
		t.Errorf("a response without its id: %+v", f)
	}
	if f := respond(g, r, 200, json, `{"id":7,"kind":"cart"}`); f == nil || f.Detail != `200 body /kind: value must be 'order'; value: "cart"` {
		t.Errorf("%+v", f)
	}
}

// A response with a property that only requests have violates the contract: in documents of OpenAPI 3.0 and 3.1, and with
// both validators of 3.1.
func TestWriteOnly(t *testing.T) {
	t.Parallel()
	const schemas = `"Order":{"type":"object","properties":{"id":{"type":"integer","readOnly":true},"kind":{"enum":["order"]},"secret":{"type":"string","writeOnly":true},"inner":{"$ref":"#/components/schemas/Inner"}}},` +
		`"Inner":{"allOf":[{"type":"object","properties":{"pin":{"$ref":"#/components/schemas/Pin"}}}]},"Pin":{"type":"object","writeOnly":true}`
	json := http.Header{"Content-Type": {"application/json"}}
	for name, replace := range map[string][]string{
		"3.0":         nil,
		"3.1":         {"3.0.3", "3.1.0"},
		"3.1, modern": {"3.0.3", "3.1.0", `"enum":["order"]`, `"const":"order"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := strings.Replace(document(`{"$ref":"#/components/schemas/Order"}`, schemas), `"200":{"description":"ok"}`, `"200":{"description":"ok","content":{"application/json":{"schema":{"type":"array","items":{"$ref":"#/components/schemas/Order"}}}}}`, 1)
			c, err := Parse("a.json", []byte(strings.NewReplacer(replace...).Replace(source)))
			if err != nil {
				t.Fatal(err)
			}
			g := c.NewGenerator(1, equal(c), 0)
			requests := ""
			for n := range uint64(100) {
				r, err := g.Request(n)
				if err != nil {
					t.Fatal(err)
				}
				requests += string(r.Body)
			}
			if strings.Contains(requests, `"id"`) || !strings.Contains(requests, `"secret":"`) || !strings.Contains(requests, `"pin":{`) || strings.Contains(requests, unwritten) {
				t.Errorf("requests %.2000s", requests)
			}
			r := send(t, g, "createA")
			for body, want := range map[string]Failure{
				`[{"id":7,"kind":"order","inner":{}}]`:   {},
				`[{"id":7,"secret":"x"}]`:                {"response violates the contract: 200 body /*/secret: writeOnly", `200 body /0/secret: writeOnly property "secret" in response`},
				`[{"inner":{}},{"inner":{"pin":{}}}]`:    {"response violates the contract: 200 body /*/inner/pin: writeOnly", `200 body /1/inner/pin: writeOnly property "pin" in response`},
				`[{"kind":"cart","secret":"x"},{"a":1}]`: {"response violates the contract: 200 body /*/", ""}, // one of both
			} {
				f := respond(g, r, 200, json, body)
				if f == nil {
					f = &Failure{}
				}
				if f.Check != want.Check && (want.Detail != "" || want.Check == "" || !strings.HasPrefix(f.Check, want.Check)) || want.Detail != "" && f.Detail != want.Detail {
					t.Errorf("%s: %+v, want %+v", body, *f, want)
				}
			}
		})
	}
}

// modernContract is one whose operation responds with JSON of a schema.
func modernContract(t *testing.T, schema, components string) *Contract {
	t.Helper()
	source := strings.Replace(document(`{"type":"string"}`, components), "3.0.3", "3.1.0", 1)
	c, err := Parse("a.json", []byte(strings.Replace(source, `"200":{"description":"ok"}`, `"200":{"description":"ok","content":{"application/json":{"schema":`+schema+`}}}`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// No contract makes the validator of JSON Schema 2020-12 read a file.
func TestModernFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "integer.json")
	if err := os.WriteFile(file, []byte(`{"type":"integer"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, schema := range []string{
		`{"prefixItems":[{"type":"string"}],"$dynamicRef":"file://` + file + `"}`,
		`{"prefixItems":[{"type":"string"}],"$id":"file://` + filepath.Dir(file) + `/","$dynamicRef":"integer.json"}`,
		`{"prefixItems":[{"type":"string"}],"items":{"$dynamicRef":"file://` + file + `"}}`,
		`{"prefixItems":[{"type":"string"}],"$schema":"file://` + file + `"}`,
		`{"prefixItems":[{"type":"string"}],"$defs":{"a":{"$id":"file://` + file + `","$schema":"file://` + file + `"}}}`,
		`{"$ref":"#/components/schemas/List"}`,
	} {
		c := modernContract(t, schema, `"List":{"prefixItems":[{"type":"string"}],"unevaluatedItems":{"$dynamicRef":"file://`+file+`"}}`)
		r := &Request{Operation: c.Operations[0]}
		json := http.Header{"Content-Type": {"application/json"}}
		if f := respond(c.NewGenerator(1, equal(c), 0), r, 200, json, `["a","b"]`); f != nil {
			t.Errorf("%s: %+v", schema, f)
		}
		if f := respond(c.NewGenerator(1, equal(c), 0), r, 200, json, `[1]`); f == nil {
			t.Errorf("%s: prefixItems is not checked", schema)
		}
		if notes := strings.Join(c.Notes(), "\n"); !strings.Contains(notes, file) && !strings.Contains(notes, "integer.json") {
			t.Errorf("%s: the notes say nothing: %q", schema, notes)
		}
	}
	// Beside a $ref, where such a keyword stays: then only what OpenAPI 3.0 has is checked.
	for _, schema := range []string{
		`{"prefixItems":[{"type":"string"}],"items":{"$ref":"#/components/schemas/Str","$dynamicRef":"file://` + file + `"}}`,
		`{"allOf":[{"$ref":"#/components/schemas/Str","$id":"file://` + file + `"}],"prefixItems":[{"type":"string"}]}`,
		`{"prefixItems":[{"$ref":"#/components/schemas/Str","properties":{"a":{"$dynamicRef":"file://` + file + `"}}}]}`,
		`{"prefixItems":[{"$ref":"#/components/schemas/Deep"}]}`,
		`{"prefixItems":[{"$ref":"#/components/schemas/Str","$schema":"file://` + file + `"}]}`,
	} {
		c := modernContract(t, `{"type":"object","properties":{"a":`+schema+`}}`, `"Str":{"type":"string"},"Deep":{"type":"array","items":{"$ref":"#/components/schemas/Str","$dynamicRef":"file://`+file+`"}}`)
		f := respond(c.NewGenerator(1, equal(c), 0), &Request{Operation: c.Operations[0]}, 200, http.Header{"Content-Type": {"application/json"}}, `{"a":["b"]}`)
		if f != nil && strings.Contains(f.Detail, "integer") {
			t.Errorf("%s: %+v", schema, f)
		}
		if notes := strings.Join(c.Notes(), "\n"); !strings.Contains(notes, "not checked") {
			t.Errorf("%s: the notes are %q, the failure %+v", schema, notes, f)
		}
	}
	if notes := modernContract(t, `{"$schema":"https://json-schema.org/draft/2020-12/schema","const":1}`, "").Notes(); len(notes) > 0 {
		t.Error(notes)
	}
}

// A note says it if what only OpenAPI 3.1 has is not checked.
func TestModernInvalid(t *testing.T) {
	t.Parallel()
	json := http.Header{"Content-Type": {"application/json"}}
	c := modernContract(t, `{"type":"object","patternProperties":{"^(?!x)":{"type":"string"},"^y":{"type":"integer"}}}`, "")
	if notes := strings.Join(c.Notes(), "\n"); !strings.Contains(notes, `pattern "^(?!x)" is not checked`) {
		t.Errorf("notes %q", notes)
	}
	if f := respond(c.NewGenerator(1, equal(c), 0), &Request{Operation: c.Operations[0]}, 200, json, `{"y":"a"}`); f == nil {
		t.Error("the other pattern is not checked")
	}
	c = modernContract(t, `{"type":"object","required":["a"],"dependentRequired":{"a":["b","b"]}}`, "")
	if notes := strings.Join(c.Notes(), "\n"); !strings.Contains(notes, "createA: 200 application/json: keywords") {
		t.Errorf("notes %q", notes)
	}
	if f := respond(c.NewGenerator(1, equal(c), 0), &Request{Operation: c.Operations[0]}, 200, json, `{}`); f == nil || !strings.Contains(f.Check, "required") {
		t.Errorf("what OpenAPI 3.0 has is not checked: %+v", f)
	}
}

// A value that may have a password is not shown.
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	schema := `{"KEYWORD":[{"type":"object","required":["a"],"properties":{"a":{"type":"string"},"secret":{"type":"string","writeOnly":true}}},{"type":"object","required":["b"],"properties":{"b":{"type":"string"}}}]}`
	for _, keyword := range []string{"oneOf", "anyOf", "allOf"} {
		for _, more := range []string{"", `"dependentRequired":{},`, `"const":{},`} {
			c := modernContract(t, "{"+more+strings.Replace(schema, "KEYWORD", keyword, 1)[1:], "")
			f := respond(c.NewGenerator(1, equal(c), 0), &Request{Operation: c.Operations[0]}, 200, http.Header{"Content-Type": {"application/json"}}, `{"a":"x","secret":"hunter2"}`)
			if f == nil || strings.Contains(f.Check+f.Detail, "hunter2") {
				t.Errorf("%s %s: %+v", keyword, more, f)
			}
		}
	}
	for schema, body := range map[string]string{
		`{"allOf":[{"properties":{"secret":{"minLength":50}}},{"properties":{"secret":{"type":"string","writeOnly":true}}}]}`:      `{"secret":"hunter2"}`,
		`{"allOf":[{"properties":{"secret":{"properties":{"pw":{"maxLength":1}}}}},{"properties":{"secret":{"writeOnly":true}}}]}`: `{"secret":{"pw":"hunter2"}}`,
		`{"required":["a"],"properties":{"secret":{"allOf":[{"type":"string","writeOnly":true}]}}}`:                                `{"secret":"hunter2"}`,
		`{"required":["a"],"additionalProperties":{"type":"string","writeOnly":true}}`:                                             `{"other":"hunter2"}`,
		`{"type":"object","properties":{"secrets":{"type":"array","items":{"type":"string","writeOnly":true,"maxLength":1}}}}`:     `{"secrets":["hunter2"]}`,
		`{"type":"object","properties":{"secret":{"type":"string","writeOnly":true}}}`:                                             `{"secret":"hunter2"`,
	} {
		for _, more := range []string{"", `"const":{},`} {
			c := modernContract(t, "{"+more+schema[1:], "")
			f := respond(c.NewGenerator(1, equal(c), 0), &Request{Operation: c.Operations[0]}, 200, http.Header{"Content-Type": {"application/json"}}, body)
			if f == nil || strings.Contains(f.Check+f.Detail, "hunter2") {
				t.Errorf("%s %s: %+v", schema, more, f)
			}
		}
	}
}
