package albumhttp_test

import (
	"net/http"
	"strings"
	"testing"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
)

// Invalid UTF-8 is rejected in every body, and stores nothing.
func TestBodyText(t *testing.T) {
	t.Parallel()
	const good, latin1 = `{"title":"Café","artist":"ab","price":1}`, "{\"title\":\"Caf\xe9\",\"artist\":\"ab\",\"price\":1}"
	const json, ndjson = "application/json", "application/x-ndjson"
	utf16 := "\xff\xfe" + strings.Join(strings.Split(`{"title":"ab","artist":"ab","price":1}`, ""), "\x00") + "\x00"
	for _, tt := range []struct {
		name, method, path, media, body string
		status                          int
		want                            string // in the body
	}{
		{"POST", "POST", "/albums", json, latin1, 400, "the body is not valid UTF-8: byte 0xe9 at offset 13"},
		{"PUT", "PUT", "/albums/1", json, latin1, 400, "the body is not valid UTF-8: byte 0xe9 at offset 13"},
		{"batch", "POST", "/albums/batch", json, "[" + good + "," + latin1 + "]", 400, "the body is not valid UTF-8: byte 0xe9 at offset 56"},
		{"NDJSON batch", "POST", "/albums/batch", ndjson, good + "\n" + latin1 + "\n", 400, "the body is not valid UTF-8: byte 0xe9 at offset 55"},
		{"half a character", "POST", "/albums", json, good[:14], 400, "the body is not valid UTF-8: byte 0xc3 at offset 13"},
		{"surrogate", "POST", "/albums", json, "{\"title\":\"\xed\xa0\x80\"}", 400, "the body is not valid UTF-8: byte 0xed at offset 10"},
		{"overlong", "POST", "/albums", json, "{\"title\":\"\xc0\xaf\"}", 400, "the body is not valid UTF-8: byte 0xc0 at offset 10"},
		{"UTF-16", "POST", "/albums", json, utf16, 400, "the body is not valid UTF-8: byte 0xff at offset 0"},
		{"UTF-16 without a mark", "POST", "/albums", json, utf16[2:], 400, "invalid character '\\\\x00'"},
		{"in a name", "POST", "/albums", json, "{\"\xff\":1}", 400, "the body is not valid UTF-8: byte 0xff at offset 2"},
		{"mark", "POST", "/albums", json, "\ufeff" + good, 400, "the body begins with a byte order mark (RFC 8259, 8.1)"},
		{"mark of a batch", "POST", "/albums/batch", ndjson, "\ufeff" + good, 400, "the body begins with a byte order mark (RFC 8259, 8.1)"},
		{"mark in the middle", "POST", "/albums/batch", ndjson, good + "\n\ufeff" + good, 400, "invalid character"},
		{"UTF-8", "POST", "/albums", json, good, 201, `"title":"Café"`},
	} {
		for _, b := range backends {
			t.Run(tt.name+"/"+b.name, func(t *testing.T) {
				t.Parallel()
				svc := b.open(t)
				url := serve(t, albumhttp.Handler(svc, albumhttp.HandlerOptions{Service: b.name}))
				before := list(t, svc)
				resp, body := do(t, tt.method, url+tt.path, tt.body, "Content-Type", tt.media)
				if resp.StatusCode != tt.status || !strings.Contains(body, tt.want) {
					t.Errorf("%s %s = %d %s, want %d, %s", tt.method, tt.path, resp.StatusCode, body, tt.status, tt.want)
				}
				if after := list(t, svc); tt.status != http.StatusCreated && after != before {
					t.Errorf("%s %s left %s, want %s", tt.method, tt.path, after, before)
				}
			})
		}
	}
}

// list returns the titles that are there.
func list(t *testing.T, svc album.Service) string {
	t.Helper()
	p, err := svc.List(t.Context(), album.Query{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	var titles []string
	for _, a := range p.Albums {
		titles = append(titles, a.Title)
	}
	return strings.Join(titles, ", ")
}
