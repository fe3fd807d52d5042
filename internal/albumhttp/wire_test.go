package albumhttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/albumhttp/contract"
)

// serve returns the address of a service, and stops it at the end of the test.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func newClient(t testing.TB, url string, o albumapi.ClientOptions) *albumapi.Client {
	t.Helper()
	c, err := albumapi.NewClient(url, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// backends are the two ways the API is served; each starts with the seeded albums.
var backends = []struct {
	name string
	open func(t *testing.T) album.Service
}{
	{"store", func(*testing.T) album.Service { return album.NewMemory(album.Seed()...) }},
	{"proxy", func(t *testing.T) album.Service {
		store := serve(t, albumhttp.Handler(album.NewMemory(album.Seed()...), albumhttp.HandlerOptions{Service: "album-store"}))
		return newClient(t, store, albumapi.ClientOptions{})
	}},
}

// do sends a request, and validates it and the response against the contract.
func do(t *testing.T, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := contract.Transport(t, nil).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// stable is a response without variable parts.
func stable(body string) string { return varying.ReplaceAllString(body, `"$1":"…"`) }

var varying = regexp.MustCompile(`"(created_at|started_at|finished_at|trace_id)":"[^"]+"`)

const (
	blueTrain = `{"id":1,"title":"Blue Train","artist":"John Coltrane","price":56.99,"genre":"Jazz","year":1958,"created_at":"…"}`
	jeru      = `{"id":2,"title":"Jeru","artist":"Gerry Mulligan","price":17.99,"genre":"Jazz","year":1962,"created_at":"…"}`
	sarah     = `{"id":3,"title":"Sarah Vaughan and Clifford Brown","artist":"Sarah Vaughan","price":39.99,"genre":"Jazz","year":1955,"created_at":"…"}`
)

func invalid(fields ...string) string {
	errs := make([]string, 0, len(fields)/2)
	for i := 0; i < len(fields); i += 2 {
		errs = append(errs, fmt.Sprintf(`{"field":%q,"message":%q}`, fields[i], fields[i+1]))
	}
	return `{"type":"urn:soundcheck:problem:invalid-request","title":"invalid request","status":400,` +
		`"detail":"see errors","errors":[` + strings.Join(errs, ",") + `]}`
}

func malformed(detail string) string {
	return fmt.Sprintf(`{"type":"urn:soundcheck:problem:invalid-request","title":"invalid request","status":400,"detail":%q}`, detail)
}

func problem(name, title string, status int) string {
	return fmt.Sprintf(`{"type":"urn:soundcheck:problem:%s","title":%q,"status":%d}`, name, title, status)
}

const notID = "must be an integer from 1 to 9223372036854775807"

// TestWire is the contract: the response to each request, by the store and,
// no different, by the proxy in front of one.
func TestWire(t *testing.T) {
	t.Parallel()
	const cursor2, first100 = "AAAAAAAAAAI9wOBx", `</albums?limit=100>; rel="first"`
	long := strings.Repeat("x", 1001)
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		want                     string
		header                   map[string]string
	}{
		{"get", "GET", "/albums/1", "", 200, blueTrain, nil},
		{"head", "HEAD", "/albums/1", "", 200, "", nil},
		{"unknown id", "GET", "/albums/666", "", 404, problem("album-not-found", "album not found", 404), nil},
		{"negative id", "GET", "/albums/-1", "", 404, problem("album-not-found", "album not found", 404), nil},
		{"id is no number", "GET", "/albums/X", "", 400, invalid("id", notID), nil},
		{"id too large", "GET", "/albums/99999999999999999999", "", 400, invalid("id", notID), nil},
		{"list", "GET", "/albums", "", 200, "[" + blueTrain + "," + jeru + "," + sarah + "]", map[string]string{"Link": first100}},
		{"first page", "GET", "/albums?limit=2", "", 200, "[" + blueTrain + "," + jeru + "]",
			map[string]string{"Link": `</albums?cursor=` + cursor2 + `&limit=2>; rel="next", </albums?limit=2>; rel="first"`}},
		{"next page", "GET", "/albums?limit=2&cursor=" + cursor2, "", 200, "[" + sarah + "]", map[string]string{"Link": `</albums?limit=2>; rel="first"`}},
		{"limit 0", "GET", "/albums?limit=0", "", 400, invalid("limit", "must be an integer from 1 to 1000"), nil},
		{"limit 1001", "GET", "/albums?limit=1001", "", 400, invalid("limit", "must be an integer from 1 to 1000"), nil},
		{"limit is no number", "GET", "/albums?limit=", "", 400, invalid("limit", "must be an integer from 1 to 1000"), nil},
		{"tampered cursor", "GET", "/albums?cursor=AAAAAAAAAAO" + cursor2[11:], "", 400,
			invalid("cursor", "invalid cursor: take it from the Link header of a page with the same filter"), nil},
		{"foreign cursor", "GET", "/albums?cursor=bmV4dA", "", 400,
			invalid("cursor", "invalid cursor: take it from the Link header of a page with the same filter"), nil},
		{"cursor of another filter", "GET", "/albums?artist=Gerry%20Mulligan&cursor=" + cursor2, "", 400,
			invalid("cursor", "invalid cursor: take it from the Link header of a page with the same filter"), nil},
		{"filter", "GET", "/albums?artist=Gerry%20Mulligan&genre=Jazz", "", 200, "[" + jeru + "]",
			map[string]string{"Link": `</albums?artist=Gerry+Mulligan&genre=Jazz&limit=100>; rel="first"`}},
		{"filter without a match", "GET", "/albums?genre=jazz", "", 200, "[]", nil},
		{"empty filter", "GET", "/albums?genre=", "", 400, invalid("genre", "must not be empty"), nil},
		{"parameter twice", "GET", "/albums?limit=1&limit=2", "", 400, invalid("limit", "duplicate parameter"), nil},
		{"broken query", "GET", "/albums?limit=1;artist=x", "", 400, malformed("invalid query string: invalid semicolon separator in query"), nil},
		{"unknown parameter", "GET", "/albums?offset=3", "", 400, invalid("offset", "unknown parameter"), nil},
		{"create", "POST", "/albums", `{"id": 10, "title": "The Ozzman Cometh", "artist": "Black Sabbath", "price": 66.60}`, 201,
			`{"id":10,"title":"The Ozzman Cometh","artist":"Black Sabbath","price":66.60,"created_at":"…"}`, map[string]string{"Location": "/albums/10"}},
		{"create without id", "POST", "/albums", `{"title":"東京 <b>&","artist":"Aña","price":1}`, 201,
			`{"id":4,"title":"東京 \u003cb\u003e\u0026","artist":"Aña","price":1.00,"created_at":"…"}`, map[string]string{"Location": "/albums/4"}},
		{"create with all fields", "POST", "/albums", `{"title":"ab","artist":"cd","price":0.01,"genre":"Rock","year":2000,"created_at":"1999-01-01T00:00:00Z"}`, 201,
			`{"id":4,"title":"ab","artist":"cd","price":0.01,"genre":"Rock","year":2000,"created_at":"…"}`, nil},
		{"genre and year", "POST", "/albums", `{"title":"ab","artist":"ab","price":1,"genre":"` + long[:101] + `","year":1859}`, 400,
			invalid("genre", "above maximum value", "year", "below minimum value"), nil},
		{"year 0", "POST", "/albums", `{"title":"ab","artist":"ab","price":1,"year":0}`, 400, invalid("year", "below minimum value"), nil},
		{"year 2101", "POST", "/albums", `{"title":"ab","artist":"ab","price":1,"year":2101}`, 400, invalid("year", "above maximum value"), nil},
		{"decimals beyond a float", "POST", "/albums", `{"title":"ab","artist":"ab","price":56.9900000000000000001}`, 400, invalid("price", "must have at most two decimals"), nil},
		{"zeros", "POST", "/albums", `{"title":"ab","artist":"ab","price":12.5000}`, 201, `{"id":4,"title":"ab","artist":"ab","price":12.50,"created_at":"…"}`, nil},
		{"half a character", "POST", "/albums", `{"title":"\ud800a","artist":"ab","price":1}`, 400, invalid("title", "must be valid Unicode"), nil},
		{"created_at is no time", "POST", "/albums", `{"title":"ab","artist":"ab","price":1,"created_at":17}`, 400, invalid("created_at", "must be a date and time (RFC 3339)"), nil},
		{"a field twice", "POST", "/albums", `{"title":"ab","artist":"ab","price":1,"title":"cd"}`, 400, invalid("title", "duplicate field"), nil},
		{"huge numbers", "POST", "/albums", `{"id":1e400,"title":"ab","artist":"ab","price":1e400,"year":1e400}`, 400,
			invalid("id", notID, "price", "above maximum value", "year", "must be an integer from 1860 to 2100"), nil},
		{"deep nesting", "POST", "/albums", strings.Repeat("[", 100000), 400, malformed("the body must be one JSON object: invalid character '[' exceeded max depth"), nil},
		{"put", "PUT", "/albums/1", `{"title":"ab","artist":"cd","price":2}`, 200, `{"id":1,"title":"ab","artist":"cd","price":2.00,"created_at":"…"}`, nil},
		{"put back", "PUT", "/albums/1", strings.ReplaceAll(blueTrain, "…", "2020-01-01T00:00:00Z"), 200, blueTrain, nil},
		{"put new", "PUT", "/albums/77", `{"id":77,"title":"ab","artist":"cd","price":2}`, 201, `{"id":77,"title":"ab","artist":"cd","price":2.00,"created_at":"…"}`,
			map[string]string{"Location": "/albums/77"}},
		{"put elsewhere", "PUT", "/albums/77", `{"id":78,"title":"ab","artist":"cd","price":2}`, 400, invalid("id", "must equal the id in the path, or be absent"), nil},
		{"put at 0", "PUT", "/albums/0", `{"title":"ab","artist":"cd","price":2}`, 400, invalid("id", "below minimum value"), nil},
		{"put nothing", "PUT", "/albums/1", ``, 400, malformed("the body must be one JSON object: it is empty"), nil},
		{"delete", "DELETE", "/albums/2", "", 204, "", nil},
		{"delete unknown", "DELETE", "/albums/4", "", 404, problem("album-not-found", "album not found", 404), nil},
		{"delete no number", "DELETE", "/albums/x", "", 400, invalid("id", notID), nil},
		{"options", "OPTIONS", "/albums", "", 204, "", map[string]string{"Allow": "GET, HEAD, POST, OPTIONS"}},
		{"options of a batch", "OPTIONS", "/albums/batch", "", 204, "", map[string]string{"Allow": "POST, OPTIONS"}},
		{"get a batch", "GET", "/albums/batch", "", 405, problem("method-not-allowed", "method not allowed", 405), map[string]string{"Allow": "POST, OPTIONS"}},
		{"delete a batch", "DELETE", "/albums/batch", "", 405, problem("method-not-allowed", "method not allowed", 405), nil},
		{"patch a batch", "PATCH", "/albums/batch", "", 405, problem("method-not-allowed", "method not allowed", 405), map[string]string{"Allow": "POST, OPTIONS"}},
		{"slash", "GET", "/albums/", "", 404, problem("no-such-resource", "no such resource", 404), nil},
		{"slash behind an id", "GET", "/albums/1/", "", 404, problem("no-such-resource", "no such resource", 404), nil},
		{"options of one", "OPTIONS", "/albums/1", "", 204, "", map[string]string{"Allow": "GET, HEAD, PUT, DELETE, OPTIONS"}},
		{"no such operation", "GET", "/operations/x", "", 404, problem("operation-not-found", "operation not found", 404), nil},
		{"batch", "POST", "/albums/batch", `[{"title":"ab","artist":"ab","price":1},{"id":9,"title":"ab","artist":"ab","price":1}]`, 201, `{"count":2,"ids":[4,9]}`, nil},
		{"bad batch", "POST", "/albums/batch", `[{"title":"ab","artist":"ab","price":1},{"title":"a","artist":"ab"},7]`, 400,
			invalid("[1].price", "required field", "[1].title", "below minimum value",
				"[2]", "the body must be one JSON object: it is of the type number"), nil},
		{"batch with an id twice", "POST", "/albums/batch", `[{"id":9,"title":"ab","artist":"ab","price":1},{"id":9,"title":"ab","artist":"ab","price":1}]`, 400,
			invalid("[1].id", "duplicate id in the batch"), nil},
		{"batch with an id taken", "POST", "/albums/batch", `[{"title":"ab","artist":"ab","price":1},{"id":3,"title":"ab","artist":"ab","price":1}]`, 409,
			`{"type":"urn:soundcheck:problem:album-exists","title":"an album with this id exists","status":409,"errors":[{"field":"[1].id","message":"taken"}]}`, nil},
		{"empty batch", "POST", "/albums/batch", `[]`, 400, malformed("the batch is empty"), nil},
		{"batch that is none", "POST", "/albums/batch", `{}`, 400, malformed("the body must be one JSON array of albums: it is of the type object"), nil},
		{"batch too long", "POST", "/albums/batch", "[" + strings.Repeat("0,", 10000) + "0]", 413, problem("body-too-large", "request body too large", 413), nil},
		{"batch too large", "POST", "/albums/batch", `["` + strings.Repeat("x", 12<<20) + `"]`, 413, problem("body-too-large", "request body too large", 413), nil},
		{"taken", "POST", "/albums", `{"id":1,"title":"ab","artist":"ab","price":1}`, 409, problem("album-exists", "an album with this id exists", 409), nil},
		{"unknown keys", "POST", "/albums", `{"idx":1,"titlexx":"a","artistx":"b","price":56.99}`, 400,
			invalid("artist", "required field", "artistx", "unknown field", "idx", "unknown field", "title", "required field", "titlexx", "unknown field"), nil},
		{"keys of another case", "POST", "/albums", `{"Title":"ab","artist":"ab","price":1}`, 400,
			invalid("Title", "unknown field", "title", "required field"), nil},
		{"below minimum", "POST", "/albums", `{"id":-1,"title":"a","artist":"z","price":-0.1}`, 400,
			invalid("artist", "below minimum value", "id", "below minimum value", "price", "below minimum value", "title", "below minimum value"), nil},
		{"above maximum", "POST", "/albums", `{"title":"` + long + `","artist":"` + long + `","price":10000.01}`, 400,
			invalid("artist", "above maximum value", "price", "above maximum value", "title", "above maximum value"), nil},
		{"id 0", "POST", "/albums", `{"id":0,"title":"ab","artist":"ab","price":1}`, 400, invalid("id", "below minimum value"), nil},
		{"nulls", "POST", "/albums", `{"id":null,"title":null,"artist":null,"price":null}`, 400,
			invalid("artist", "required field", "id", notID, "price", "required field", "title", "required field"), nil},
		{"wrong types", "POST", "/albums", `{"id":"abc","title":1,"artist":[],"price":"x"}`, 400,
			invalid("artist", "must be a string", "id", notID, "price", "must be a number", "title", "must be a string"), nil},
		{"id with a fraction", "POST", "/albums", `{"id":1.5,"title":"ab","artist":"ab","price":1}`, 400, invalid("id", notID), nil},
		{"three decimals", "POST", "/albums", `{"title":"ab","artist":"ab","price":1.001}`, 400, invalid("price", "must have at most two decimals"), nil},
		{"NUL", "POST", "/albums", `{"title":"a\u0000b","artist":"ab","price":1}`, 400, invalid("title", "must not contain the NUL character"), nil},
		{"array", "POST", "/albums", `[]`, 400, malformed("the body must be one JSON object: it is of the type array"), nil},
		{"null", "POST", "/albums", `null`, 400, malformed("the body must be one JSON object: it is null"), nil},
		{"empty", "POST", "/albums", " \n", 400, malformed("the body must be one JSON object: it is empty"), nil},
		{"cut off", "POST", "/albums", `{"id": 10,`, 400, malformed("the body must be one JSON object: unexpected end of JSON input"), nil},
		{"trailing bytes", "POST", "/albums", `{"title":"ab","artist":"ab","price":1} x`, 400,
			malformed("the body must be one JSON object: invalid character 'x' after top-level value"), nil},
		{"invalid UTF-8", "POST", "/albums", "{\"title\":\"a\xff\",\"artist\":\"ab\",\"price\":1}", 400, malformed("the body is not valid UTF-8: byte 0xff at offset 11"), nil},
		{"too large", "POST", "/albums", `{"title":"` + strings.Repeat("x", albumhttp.DefaultMaxBody) + `"}`, 413,
			problem("body-too-large", "request body too large", 413), nil},
		{"unknown method", "DELETE", "/albums", "", 405, problem("method-not-allowed", "method not allowed", 405),
			map[string]string{"Allow": "GET, HEAD, POST, OPTIONS"}},
		{"unknown route", "GET", "/nope", "", 404, problem("no-such-resource", "no such resource", 404), nil},
	} {
		for _, b := range backends {
			t.Run(tt.name+"/"+b.name, func(t *testing.T) {
				t.Parallel()
				svc := b.open(t)
				url := serve(t, albumhttp.Handler(svc, albumhttp.HandlerOptions{Service: b.name}))
				resp, body := do(t, tt.method, url+tt.path, tt.body)
				if body = stable(body); resp.StatusCode != tt.status || body != tt.want {
					t.Errorf("%s %s = %d\n%s, want %d\n%s", tt.method, tt.path, resp.StatusCode, body, tt.status, tt.want)
				}
				media := "application/json; charset=utf-8"
				if tt.status >= 400 {
					media = "application/problem+json"
				} else if tt.status == 204 {
					media = ""
				}
				if got := resp.Header.Get("Content-Type"); got != media {
					t.Errorf("Content-Type = %q, want %q", got, media)
				}
				for name, want := range tt.header {
					if got := resp.Header.Get(name); got != want {
						t.Errorf("%s = %q, want %q", name, got, want)
					}
				}
				if tt.status >= 400 { // nothing half done
					p, err := svc.List(t.Context(), album.Query{Limit: 10})
					if err != nil || len(p.Albums) != 3 {
						t.Errorf("after a refusal there are %d albums, %v, want 3", len(p.Albums), err)
					}
				}
			})
		}
	}
}

// The service is the same through the wire, and through a proxy and the wire.
func TestService(t *testing.T) {
	t.Parallel()
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			albumtest.Run(t, func(t *testing.T) album.Service {
				url := serve(t, albumhttp.Handler(b.open(t), albumhttp.HandlerOptions{Service: b.name}))
				return newClient(t, url, albumapi.ClientOptions{Wrap: func(next http.RoundTripper) http.RoundTripper {
					return contract.Transport(t, next)
				}})
			})
		})
	}
}

// A walk along the Link headers through the proxy sees every album once.
func TestPages(t *testing.T) {
	t.Parallel()
	const n = 2500
	m := album.NewMemory()
	for range n {
		if _, err := m.Create(t.Context(), album.One(album.Album{Title: "title", Artist: "artist", Price: 1})); err != nil {
			t.Fatal(err)
		}
	}
	store := serve(t, albumhttp.Handler(m, albumhttp.HandlerOptions{Service: "album-store"}))
	proxy := serve(t, albumhttp.Handler(newClient(t, store, albumapi.ClientOptions{}), albumhttp.HandlerOptions{Service: "proxy-service"}))
	seen := map[int64]bool{}
	for path := "/albums"; path != ""; {
		resp, body := do(t, "GET", proxy+path, "")
		var page []album.Album
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatal(err)
		}
		for _, a := range page {
			if seen[a.ID] {
				t.Fatalf("album %d was on two pages", a.ID)
			}
			seen[a.ID] = true
		}
		next, rest, _ := strings.Cut(strings.TrimPrefix(resp.Header.Get("Link"), "<"), ">")
		if path = ""; strings.HasPrefix(rest, `; rel="next"`) {
			path = next
		}
	}
	if len(seen) != n {
		t.Errorf("saw %d albums, want %d", len(seen), n)
	}
}

// The proxy's whole path against the bare handler: compare the two with benchstat.
func BenchmarkGet(b *testing.B) {
	store := albumhttp.Handler(album.NewMemory(album.Seed()...), albumhttp.HandlerOptions{Service: "album-store"})
	storeURL := serve(b, store)
	proxyURL := serve(b, albumhttp.Handler(newClient(b, storeURL, albumapi.ClientOptions{}), albumhttp.HandlerOptions{Service: "proxy-service"}))
	for name, url := range map[string]string{"store": storeURL, "proxy": proxyURL} {
		b.Run(name, func(b *testing.B) {
			c := newClient(b, url, albumapi.ClientOptions{})
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := c.Get(context.Background(), 1); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
