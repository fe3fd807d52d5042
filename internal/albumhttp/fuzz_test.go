package albumhttp

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/httpheader"
)

func post(h http.Handler, path, media, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Header.Set("Content-Type", media)
	h.ServeHTTP(w, r)
	return w
}

// Stored albums are valid; a rejected request stores nothing.
func FuzzCreate(f *testing.F) {
	for _, s := range []string{`{"id":1,"title":"Blue Train","artist":"John Coltrane","price":56.99,"genre":"Jazz","year":1958}`,
		`{"title":"ab","artist":"ab","price":1e1}`, `{}`, `[`, "{\"title\":\"\xff\"}", `{"id":1e3}`, `{"year":0}`, `{"title":"\ud800a","artist":"ab","price":1}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		m := album.NewMemory()
		w := post(Handler(m, HandlerOptions{Service: "album-store"}), "/albums", albumapi.JSONType, body)
		p, err := m.List(t.Context(), album.Query{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		switch w.Code {
		case 201:
			var a album.Album
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
				t.Fatalf("%q gives %s: %v", body, w.Body, err)
			}
			if err := album.Validate(a); err != nil || len(p.Albums) != 1 || p.Albums[0] != a || a.ID < 1 {
				t.Fatalf("%q was answered with %+v and stored as %+v: %v", body, a, p.Albums, err)
			}
		case 400:
			if len(p.Albums) != 0 {
				t.Fatalf("%q was refused and stored", body)
			}
		default:
			t.Fatalf("%q = %d %s", body, w.Code, w.Body)
		}
	})
}

// A batch is stored as a whole or not at all.
func FuzzBatch(f *testing.F) {
	for _, s := range []string{"{\"title\":\"ab\",\"artist\":\"ab\",\"price\":1}\n\n{\"id\":7,\"title\":\"ab\",\"artist\":\"ab\",\"price\":1}\r\n",
		"[]", "{}\n{}", "\n", "null", `{"id":1,"title":"ab","artist":"ab","price":1}` + "\n" + `{"id":1,"title":"ab","artist":"ab","price":1}`} {
		f.Add(s, true)
		f.Add("["+s+"]", false)
	}
	f.Fuzz(func(t *testing.T, body string, ndjson bool) {
		m := album.NewMemory()
		media := albumapi.JSONType
		if ndjson {
			media = albumapi.NDJSONType
		}
		w := post(Handler(m, HandlerOptions{Service: "album-store"}), "/albums/batch", media, body)
		p, err := m.List(t.Context(), album.Query{Limit: album.MaxLimit})
		if err != nil {
			t.Fatal(err)
		}
		var r albumapi.Result
		switch w.Code {
		case 201:
			if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || r.Count != len(r.IDs) || r.Count < 1 {
				t.Fatalf("%q gives %s: %v", body, w.Body, err)
			}
		case 400, 413:
		default:
			t.Fatalf("%q = %d %s", body, w.Code, w.Body)
		}
		if p.Next == 0 && len(p.Albums) != r.Count {
			t.Fatalf("%q = %d: %d albums, said %d", body, w.Code, len(p.Albums), r.Count)
		}
		for _, a := range p.Albums {
			if err := album.Validate(a); err != nil {
				t.Fatalf("%q was stored as %+v: %v", body, a, err)
			}
		}
	})
}

// A query string is rejected, or is a page that the Link header leads back to.
func FuzzQuery(f *testing.F) {
	link := albumapi.Links(album.Query{Limit: 1}, 1)
	_, next, _ := strings.Cut(httpheader.NextPage(http.Header{"Link": {link}}), "?")
	for _, s := range []string{"", "limit=1", "limit=1&limit=2", "artist=%00", "artist=%ff&genre=x", "cursor=x", "limit=%31", "a;b", "limit=+1",
		next} {
		f.Add(s)
	}
	h := Handler(album.NewMemory(album.Seed()...), HandlerOptions{Service: "album-store"})
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "/albums", nil)
		r.URL = &url.URL{Path: "/albums", RawQuery: query}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch w.Code {
		case 200:
			q, err := parseQuery(query, false)
			if err != nil || q.Limit < 1 || q.Limit > album.MaxLimit || !strings.Contains(w.Header().Get("Link"), `rel="first"`) {
				t.Fatalf("%q was taken as %+v, %v", query, q, err)
			}
		case 400:
			var p albumapi.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || len(p.Errors) == 0 && p.Detail == "" {
				t.Fatalf("%q = 400 %s", query, w.Body)
			}
		default:
			t.Fatalf("%q = %d %s", query, w.Code, w.Body)
		}
	})
}

// A key is rejected, or is the same with and without quotes.
func FuzzIdempotencyKey(f *testing.F) {
	for _, s := range []string{"a", `"a"`, `""`, "", "a b", "é", strings.Repeat("k", 255), strings.Repeat("k", 256), `"`, `a"b`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		key, err := idempotencyKey(http.Header{"Idempotency-Key": {value}})
		if err != nil {
			return
		}
		quoted, err := idempotencyKey(http.Header{"Idempotency-Key": {`"` + key + `"`}})
		if err != nil || quoted != key || key == "" || len(key) > album.MaxKey || strings.ContainsAny(key, "\"\\ \n") {
			t.Fatalf("%q was taken as %q, with quotes as %q, %v", value, key, quoted, err)
		}
	})
}
