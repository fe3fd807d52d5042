package contract

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// respond gives a generator a response.
func respond(g *Generator, r *Request, status int, header http.Header, body string) *Failure {
	return g.Respond(r, &url.URL{Scheme: "http", Host: "service"}, status, header, func() ([]byte, error) {
		if body == "cut" {
			return nil, io.ErrUnexpectedEOF
		}
		return []byte(body), nil
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	c := load(t, "petstore.yaml")
	g := c.NewGenerator(1, equal(c), 0)
	json := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	located := http.Header{"Content-Type": {"application/json"}, "Location": {"/pets/7"}}
	for _, tt := range []struct {
		operation string
		status    int
		header    http.Header
		body      string
		check     string
		detail    string
	}{
		{"getPet", 200, json, `{"id":7,"name":"Rex"}`, "", ""},
		{"getPet", 200, json, `{"id":7}`, "response violates the contract: 200 body /name: required", `200 body /name: property "name" is missing; value: {"id":7}`},
		{"getPet", 200, json, `{"id":7,"name":"Rex","price":-1}`, "response violates the contract: 200 body /price: minimum", "200 body /price: number must be at least 0; value: -1"},
		{"getPet", 200, json, `{"id":7,"name":"Rex","password":"secret"}`, "response violates the contract: 200 body /password: writeOnly", `200 body /password: writeOnly property "password" in response`},
		{"getPet", 200, json, `{"id":`, "response violates the contract: 200 body is malformed JSON", "unexpected EOF"},
		{"getPet", 200, json, "cut", "response violates the contract: 200 body cannot be read", "unexpected EOF"},
		{"getPet", 200, http.Header{"Content-Type": {"text/html"}}, "", `response violates the contract: 200 content type "text/html" is not documented`, "documented are application/json"},
		{"getPet", 201, json, "", "response violates the contract: undocumented status 201", "documented are 200, 400, 404"},
		{"getPet", 500, json, "", "response violates the contract: undocumented status 500", ""},
		{"getPet", 503, nil, "", "", ""},
		{"getPet", 404, http.Header{"Content-Type": {"application/problem+json"}}, `{}`, "response violates the contract: 404 body /title: required", ""},
		{"updatePet", 422, http.Header{"Content-Type": {"application/problem+json"}}, `{"title":"a"}`, "", ""},
		{"addPet", 201, located, `{"id":7,"name":"Rex"}`, "", ""},
		{"addPet", 201, json, `{"id":7,"name":"Rex"}`, "response violates the contract: 201 header Location is missing", ""},
		{"listPets", 200, json, `{"items":[{"id":1,"name":"a"},{"id":0,"name":"b"}]}`, "response violates the contract: 200 body /items/*/id: minimum", "200 body /items/1/id: number must be at least 1; value: 0"},
		{"listPets", 418, http.Header{"Content-Type": {"application/problem+json"}}, `{"title":"a"}`, "", ""},
	} {
		r := &Request{Operation: c.Operation(tt.operation), Header: http.Header{}, path: []string{"7"}[:len(c.Operation(tt.operation).path.names)]}
		f := respond(g, r, tt.status, tt.header, tt.body)
		if f == nil {
			f = &Failure{}
		}
		if f.Check != tt.check || !strings.Contains(f.Detail, tt.detail) {
			t.Errorf("%s %d %s: %+v, want %q, %q", tt.operation, tt.status, tt.body, f, tt.check, tt.detail)
		}
	}
	invalid := &Request{Operation: c.Operation("getPet"), Invalid: "path petId: wrong type", Reason: "no integer", path: []string{"x"}}
	if f := respond(g, invalid, 200, json, `{"id":7,"name":"Rex"}`); f == nil || f.Check != "accepted an invalid request: path petId: wrong type" || !strings.Contains(f.Detail, "no integer") {
		t.Errorf("%+v", f)
	}
	for status, want := range map[int]bool{200: false, 400: true, 404: true, 429: false, 500: false, 503: false} {
		if invalid.Expects(status) != want {
			t.Errorf("an invalid request expects %d: %t", status, !want)
		}
	}
	valid := &Request{Operation: c.Operation("getPet")}
	for status, want := range map[int]bool{200: true, 201: false, 302: false, 400: false, 404: false} {
		if valid.Expects(status) != want {
			t.Errorf("a valid request expects %d: %t", status, !want)
		}
	}
	valid.Unknown = true
	if !valid.Expects(404) {
		t.Error("a request with an unknown id does not expect 404")
	}
}

// send returns the next request of an operation, after those that are sent in its place.
func send(t *testing.T, g *Generator, name string) *Request {
	t.Helper()
	for n := range uint64(1000) {
		r, err := g.Request(n)
		if err != nil {
			t.Fatal(err)
		}
		if r.Operation.Name == name {
			return r
		}
	}
	t.Fatalf("no request of %s", name)
	return nil
}

// Until an id is known, operations are sent that bring one. An id that was deleted, or not found, is not used again.
func TestIDs(t *testing.T) {
	t.Parallel()
	c := load(t, "petstore.yaml")
	g := c.NewGenerator(1, map[string]int{"getPet": 1, "addPet": 1, "DELETE-pets-petId": 1, "getPhoto": 1, "addPhoto": 1, "placeOrder": 1}, 0)
	first, err := g.Request(0)
	if err != nil {
		t.Fatal(err)
	}
	for n := uint64(0); first.Operation.Name != "addPet"; n++ {
		if len(first.Operation.path.names) > 0 {
			t.Fatalf("%s %s, though no id is known", first.Operation.Name, first.Path)
		}
		if first, err = g.Request(n); err != nil {
			t.Fatal(err)
		}
	}
	header := func(location string) http.Header {
		return http.Header{"Content-Type": {"application/json"}, "Location": {location}}
	}
	// Of the created ones, every other one is for a delete.
	for i, id := range []string{"9007199254740993", "41", "42", "43"} {
		if f := respond(g, first, 201, header("http://service/pets/"+id), fmt.Sprintf(`{"id":%s,"name":"pet %d"}`, id, i)); f != nil {
			t.Fatal(f)
		}
	}
	deleted := send(t, g, "DELETE-pets-petId")
	if deleted.Path != "/pets/9007199254740993" || deleted.Unknown {
		t.Errorf("deleted %s, want the first one that was created", deleted.Path)
	}
	respond(g, deleted, 204, nil, "")
	respond(g, &Request{Operation: c.Operation("addPet")}, 200, header("/pets/9007199254740993"), "") // as a list that was sent before the delete
	got := send(t, g, "getPet")
	if got.Path != "/pets/41" && got.Path != "/pets/43" || got.Unknown {
		t.Errorf("got %s, want one of those that stay", got.Path)
	}
	respond(g, got, 404, http.Header{"Content-Type": {"application/problem+json"}}, `{"title":"a"}`)
	again := send(t, g, "getPet")
	if again.Path == got.Path || again.Unknown {
		t.Errorf("got %s again, after a 404", again.Path)
	}
	// In the body of another operation.
	if order := send(t, g, "placeOrder"); !strings.Contains(string(order.Body), `"petId":`+strings.TrimPrefix(again.Path, "/pets/")) {
		t.Errorf("order %s, want the pet of %s", order.Body, again.Path)
	}
	// By a link, with the id of the parent.
	photo := send(t, g, "addPhoto")
	if f := respond(g, photo, 201, header(""), `{"photo":{"key":"p-77"}}`); f != nil {
		t.Fatal(f)
	}
	if r := send(t, g, "getPhoto"); r.Path != again.Path+"/photos/p-77" || r.Unknown {
		t.Errorf("got %s, want photo p-77 of %s", r.Path, again.Path)
	}
}

// What no response brings is sent with a generated value, and may be unknown.
func TestUnknownIDs(t *testing.T) {
	t.Parallel()
	c := load(t, "petstore.yaml")
	g := c.NewGenerator(1, map[string]int{"getPet": 1}, 0)
	r, err := g.Request(0)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Unknown || !r.Expects(404) || r.Statuses() != "200,404" {
		t.Errorf("%+v expects %s", r, r.Statuses())
	}
	g = c.NewGenerator(1, map[string]int{"getPet": 1, "addPet": 1}, 0)
	others := 0
	for n := range uint64(4 * maxSubstitutes) {
		if r, err = g.Request(n); err != nil {
			t.Fatal(err)
		}
		if r.Operation.Name == "getPet" {
			break
		}
		others++
	}
	if r.Operation.Name != "getPet" || others < maxSubstitutes {
		t.Errorf("%s after %d requests of others, want getPet after %d at least", r.Operation.Name, others, maxSubstitutes)
	}
}

// The next page of a list is requested with the token that the response had.
func TestPages(t *testing.T) {
	t.Parallel()
	c := load(t, "petstore.yaml")
	g := c.NewGenerator(1, map[string]int{"listPets": 1}, 0)
	r, err := g.Request(0)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(r.Path, "page_token") {
		t.Errorf("%s has a token that no response had", r.Path)
	}
	header := http.Header{"Content-Type": {"application/json"}, "Link": {`</pets?limit=3>; rel="first", </pets?limit=3&page_token=abc>; rel="next"`}}
	if f := respond(g, r, 200, header, `{"items":[]}`); f != nil {
		t.Fatal(f)
	}
	pages := 0
	for n := range uint64(100) {
		if r, err = g.Request(n); err != nil {
			t.Fatal(err)
		}
		if r.Path == "/pets?limit=3&page_token=abc" {
			pages++
		}
	}
	if pages != 1 {
		t.Errorf("the next page was requested %d times", pages)
	}
}

// The ids of a long run have a limit.
func TestPoolLimit(t *testing.T) {
	t.Parallel()
	p := newPool()
	p.deletes = true
	for i := range 5 * maxIDs {
		p.add([]string{fmt.Sprint(i)}, i%3 == 0)
		if i%2 == 0 {
			if key, ok := p.take(); ok && i%4 == 0 {
				p.giveBack(key)
			}
		}
		if i%5 == 0 {
			if key, ok := p.pick(0.5); ok {
				p.forget(key)
			}
		}
	}
	if len(p.list) > maxIDs || len(p.places) > 3*maxIDs || len(p.gone) > maxIDs || len(p.reserved) > maxIDs {
		t.Errorf("%d ids, %d places, %d gone, %d reserved", len(p.list), len(p.places), len(p.gone), len(p.reserved))
	}
	for i, key := range p.list {
		if p.places[key] != i {
			t.Fatalf("%s is at %d, want %d", key, p.places[key], i)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	c := load(b, "albums")
	g := c.NewGenerator(1, equal(c), 0)
	b.ReportAllocs()
	for n := uint64(0); b.Loop(); n++ {
		if _, err := g.Request(n); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	c := load(b, "albums")
	g := c.NewGenerator(1, equal(c), 0)
	albums := `[` + strings.TrimSuffix(strings.Repeat(`{"id":1,"title":"Blue Train","artist":"John Coltrane","price":56.99,"genre":"Jazz","year":1958,"created_at":"2026-01-02T03:04:05.678901Z"},`, 100), ",") + `]`
	for _, bb := range []struct{ name, operation, body string }{{"one", "getAlbum", strings.Split(strings.Trim(albums, "[]"), "},")[0] + "}"}, {"100", "listAlbums", albums}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			r := &Request{Operation: c.Operation(bb.operation), path: []string{"1"}[:len(c.Operation(bb.operation).path.names)]}
			header := http.Header{"Content-Type": {"application/json"}, "Vary": {"Accept"}, "Link": {`</albums>; rel="first"`}}
			for b.Loop() {
				if f := respond(g, r, 200, header, bb.body); f != nil {
					b.Fatal(f)
				}
			}
		})
	}
}
