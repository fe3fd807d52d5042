package contract

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"soundcheck/internal/albumhttp"
)

func load(t testing.TB, name string) *Contract {
	t.Helper()
	source := albumhttp.Contract
	if name != "albums" {
		var err error
		if source, err = os.ReadFile(filepath.Join("testdata", name)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Parse(name, source)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func equal(c *Contract) map[string]int {
	weights := map[string]int{}
	for _, name := range c.Names() {
		weights[name] = 1
	}
	return weights
}

var documents = []string{"albums", "petstore.yaml", "modern.yaml"}

// route finds the operation of a request by its path alone, as a server does.
func route(t testing.TB, router routers.Router, r *Request) *openapi3filter.RequestValidationInput {
	t.Helper()
	q := httptest.NewRequest(r.Operation.Method, "http://service"+r.Path, strings.NewReader(string(r.Body)))
	for name, values := range r.Header {
		q.Header[name] = values
	}
	found, params, err := router.FindRoute(q)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Operation.Method, r.Path, err)
	}
	if found.Path != r.Operation.Path {
		t.Fatalf("%s %s is of %s, want %s", r.Operation.Method, r.Path, found.Path, r.Operation.Path)
	}
	return &openapi3filter.RequestValidationInput{Request: q, Route: found, PathParams: params,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true}}
}

// Requests are what a server that validates with kin-openapi accepts, except for the broken ones.
func TestRequests(t *testing.T) {
	t.Parallel()
	for _, name := range documents {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := load(t, name)
			doc := *c.doc
			doc.Servers = nil
			router, err := legacy.NewRouter(&doc)
			if err != nil {
				t.Fatal(err)
			}
			count := map[string]int{}
			g := c.NewGenerator(1, equal(c), 0.5)
			for _, p := range g.pools {
				p.substitutes = maxSubstitutes
			}
			for n := range uint64(2000) {
				r, err := g.Request(n)
				if err != nil {
					t.Fatal(err)
				}
				in := route(t, router, r)
				err = openapi3filter.ValidateRequest(t.Context(), in)
				switch {
				case r.Invalid == "" && err != nil:
					t.Errorf("%s %s %v %s: %v", r.Operation.Method, r.Path, r.Header, r.Body, err)
				case r.Invalid != "" && err == nil:
					t.Errorf("%s %s %v %s is valid, want %s", r.Operation.Method, r.Path, r.Header, r.Body, r.Invalid)
				}
				if name := r.Operation.Name; r.Invalid == "" {
					count[name]++
				} else {
					count[name+InvalidSuffix]++
				}
			}
			for _, name := range c.Scenarios(equal(c), 0.5) {
				if count[name] == 0 {
					t.Errorf("no request of %s", name)
				}
			}
		})
	}
}

// Request n depends on the seed and n only.
func TestSeed(t *testing.T) {
	t.Parallel()
	for _, name := range documents {
		texts := func(seed uint64) (list []string) {
			c := load(t, name)
			g := c.NewGenerator(seed, equal(c), 0.2)
			for n := range uint64(100) {
				r, err := g.Request(n)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, fmt.Sprint(r.Operation.Name, r.Invalid, r.Path, r.Header, string(r.Body)))
			}
			return list
		}
		if !slices.Equal(texts(1), texts(1)) {
			t.Errorf("%s: the same seed gives other requests", name)
		}
		if slices.Equal(texts(1), texts(2)) {
			t.Errorf("%s: another seed gives the same requests", name)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	c := load(t, "petstore.yaml")
	want := []string{"listPets", "addPet", "search-pets", "DELETE-pets-petId", "getPet", "updatePet", "addPhoto", "getPhoto", "placeOrder"}
	got := c.Names()
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("operations %q, want %q", got, want)
	}
	if s := c.Server(); s != "https://eu.pets.example/api/v3" {
		t.Errorf("server %q", s)
	}
	if s := load(t, "modern.yaml").Server(); s != "/v2" {
		t.Errorf("server %q", s)
	}
	if list := c.MissingCredentials(nil); !slices.Equal(list, []string{"bearer authentication: add -H 'Authorization: Bearer ...'"}) {
		t.Errorf("missing credentials %q", list)
	}
	if list := c.MissingCredentials(http.Header{"authorization": {"Bearer x"}}); len(list) > 0 {
		t.Errorf("missing credentials %q", list)
	}
	if notes := c.Notes(); len(notes) > 0 {
		t.Errorf("notes %q", notes)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	const head = "openapi: 3.0.3\ninfo: {title: a, version: b}\n"
	for in, want := range map[string]string{
		"swagger: '2.0'":   "x: no OpenAPI document: the field openapi is missing (Swagger 2.0 is not supported)",
		"openapi: 4.0.0":   "x: OpenAPI 4.0.0 is not supported: 3.0 or 3.1",
		"[":                "x: failed to unmarshal data",
		head + "paths: {}": "x: the document has no operation",
		head + "paths: {/a: {get: {responses: {'200': {description: a}}, x: 1}}}":                                                     "x: invalid paths",
		head + "paths: {'/a/{b}': {get: {responses: {'200': {description: a}}}}}":                                                     "x: invalid paths",
		head + "paths: {/a: {$ref: 'http://other.example/a.yaml'}}":                                                                   "x: ",
		head + "paths: {/a: {$ref: 'other.yaml'}}":                                                                                    "x: other.yaml: the document has more than one file",
		head + "paths: {/a: {post: {requestBody: {required: true, content: {image/png: {}}}, responses: {'200': {description: a}}}}}": "x: no operation can be requested:\nPOST-a: request bodies are made of JSON, forms and text, not of image/png",
	} {
		if _, err := Parse("x", []byte(in)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

// What of a document is left out is said.
func TestNotes(t *testing.T) {
	t.Parallel()
	c, err := Parse("x", []byte(`
openapi: 3.0.3
info: { title: a, version: b }
paths:
  /a:
    post:
      operationId: xml
      requestBody: { required: true, content: { application/xml: { schema: { type: object } } } }
      responses: { "200": { description: a } }
    get:
      operationId: get
      parameters:
        - { name: p, in: query, schema: { type: string, pattern: "^(?!x)" } }
        - { name: q, in: query, style: deepObject, schema: { type: array, items: { type: string } } }
      responses: { "200": { description: a, content: { application/xml: { schema: { type: object } } } } }
`))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(c.Notes(), "\n")
	for _, want := range []string{`pattern "^(?!x)" is not checked: error parsing regexp`, "xml: not requested: request bodies are made of JSON, forms and text, not of application/xml",
		"get: parameter q is not sent: ", "response bodies of application/xml are not checked"} {
		if !strings.Contains(text, want) {
			t.Errorf("notes\n%s\nwant %s", text, want)
		}
	}
}
