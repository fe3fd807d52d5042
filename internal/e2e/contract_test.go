package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"soundcheck/internal/albumhttp/contract"
)

// callAll sends each kind of request, good and bad, and compares every answer with
// the contract. Albums from id on are the test's own.
func callAll(t *testing.T, url, id string) {
	t.Helper()
	transport := contract.Transport(t, nil)
	const album = `{"title":"Title","artist":"Artist","price":1.5}`
	for _, r := range []struct {
		method, path, body string
		header             string // "Name: value"
		want               int
	}{
		{"GET", "/albums", "", "", 200},
		{"HEAD", "/albums", "", "", 200},
		{"GET", "/albums?limit=1&artist=John%20Coltrane", "", "", 200},
		{"GET", "/albums?genre=Jazz", "", "Accept: application/x-ndjson", 200},
		{"GET", "/albums?limit=0", "", "", 400},
		{"GET", "/albums", "", "Accept: text/html", 406},
		{"OPTIONS", "/albums", "", "", 204},
		{"DELETE", "/albums", "", "", 405},
		{"GET", "/albums/1", "", "", 200},
		{"HEAD", "/albums/1", "", "", 200},
		{"GET", "/albums/x", "", "", 400},
		{"GET", "/albums/9223372036854775806", "", "", 404},
		{"PUT", "/albums/" + id, album, "", 201},
		{"PUT", "/albums/" + id, album, "", 200},
		{"PUT", "/albums/" + id, "{}", "", 400},
		{"DELETE", "/albums/" + id, "", "", 204},
		{"DELETE", "/albums/" + id, "", "", 404},
		{"POST", "/albums", album, "", 201},
		{"POST", "/albums", album, "Idempotency-Key: " + id, 201},
		{"POST", "/albums", album, "Idempotency-Key: " + id, 201},
		{"POST", "/albums/batch", "[" + album + "]", "Idempotency-Key: " + id, 422},
		{"POST", "/albums", `{"id":1,"title":"Title","artist":"Artist","price":1.5}`, "", 409},
		{"POST", "/albums", album, "Prefer: respond-async", 202},
		{"POST", "/albums", "title=x", "Content-Type: text/plain", 415},
		{"POST", "/albums", "{", "", 400},
		{"POST", "/albums", `{"title":"` + strings.Repeat("x", 2<<20) + `"}`, "", 413},
		{"POST", "/albums/batch", "[" + album + "," + album + "]", "", 201},
		{"POST", "/albums/batch", album + "\n" + album, "Content-Type: application/x-ndjson", 201},
		{"POST", "/albums/batch", "[" + album + ",1]", "", 400},
		{"GET", "/operations/none", "", "", 404},
		{"GET", "/nope", "", "", 404},
		{"GET", "/openapi.yaml", "", "", 200},
		{"GET", "/v3/api-docs/", "", "", 200},
	} {
		req, err := http.NewRequestWithContext(t.Context(), r.method, url+r.path, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		if name, value, ok := strings.Cut(r.header, ": "); ok {
			req.Header.Set(name, value)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatalf("%s %s: %v", r.method, r.path, err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != r.want {
			t.Errorf("%s %s (%s) = %s, %v, want %d\n%.300s", r.method, r.path, r.header, resp.Status, err, r.want, body)
		}
		if location := resp.Header.Get("Location"); resp.StatusCode == http.StatusAccepted {
			follow, err := http.NewRequestWithContext(t.Context(), "GET", url+location, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := transport.RoundTrip(follow)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("GET %s = %v, %v", location, resp, err)
			}
		}
	}
}
