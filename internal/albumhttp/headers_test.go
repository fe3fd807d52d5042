package albumhttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/apidocs"
)

const newBody = `{"title":"ab","artist":"cd","price":1}`

// start serves a new service, the way each of backends does.
func start(t *testing.T, open func(*testing.T) album.Service) string {
	t.Helper()
	return serve(t, albumhttp.Handler(open(t), albumhttp.HandlerOptions{Service: "test", Docs: apidocs.Handler()}))
}

// What media types and other headers do.
func TestHeaders(t *testing.T) {
	t.Parallel()
	const ndjson = "application/x-ndjson"
	notAcceptable := problem("not-acceptable", "no representation matches the Accept header", 406)
	mediaType := problem("unsupported-media-type", "unsupported media type", 415)
	badKey := invalid("Idempotency-Key", `must be one key of 1 to 255 visible ASCII characters, without quotes and backslashes`)
	for _, tt := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		want                     string
	}{
		{"anything", "GET", "/albums/1", "", []string{"Accept", "*/*"}, 200, blueTrain},
		{"wild", "GET", "/albums/1", "", []string{"Accept", "text/html, application/*;q=0.1"}, 200, blueTrain},
		{"HTML", "GET", "/albums/1", "", []string{"Accept", "text/html"}, 406, notAcceptable},
		{"no JSON", "GET", "/albums/1", "", []string{"Accept", "application/json;q=0, */*;q=0.1"}, 406, notAcceptable},
		{"capitals", "GET", "/albums/1", "", []string{"Accept", "Application/JSON"}, 200, blueTrain},
		{"compressed", "POST", "/albums", newBody, []string{"Content-Encoding", "gzip"}, 415, mediaType},
		{"two types", "POST", "/albums", newBody, []string{"Content-Type", "application/json", "Content-Type", "text/plain"}, 415, mediaType},
		{"HTML list", "GET", "/albums", "", []string{"Accept", "text/html"}, 406, notAcceptable},
		{"stream", "GET", "/albums", "", []string{"Accept", ndjson}, 200, blueTrain + "\n" + jeru + "\n" + sarah + "\n"},
		{"stream preferred", "GET", "/albums", "", []string{"Accept", "application/json;q=0.5, " + ndjson}, 200, blueTrain + "\n" + jeru + "\n" + sarah + "\n"},
		{"JSON preferred", "GET", "/albums?limit=1", "", []string{"Accept", ndjson + ";q=0.5", "Accept", "application/json"}, 200, "[" + blueTrain + "]"},
		{"stream with a filter", "GET", "/albums?artist=Sarah%20Vaughan", "", []string{"Accept", ndjson}, 200, sarah + "\n"},
		{"empty stream", "GET", "/albums?genre=none", "", []string{"Accept", ndjson}, 200, ""},
		{"stream of a page", "GET", "/albums?limit=2", "", []string{"Accept", ndjson}, 400,
			invalid("limit", "not supported with application/x-ndjson")},
		{"head of a stream", "HEAD", "/albums", "", []string{"Accept", ndjson}, 200, ""},
		{"create for HTML", "POST", "/albums", newBody, []string{"Accept", "text/html"}, 406, notAcceptable},
		{"form", "POST", "/albums", "title=x", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, mediaType},
		{"other charset", "POST", "/albums", newBody, []string{"Content-Type", "application/json; charset=latin1"}, 415, mediaType},
		{"broken type", "POST", "/albums", newBody, []string{"Content-Type", ";;"}, 415, mediaType},
		{"NDJSON for one", "POST", "/albums", newBody, []string{"Content-Type", ndjson}, 415, mediaType},
		{"put text", "PUT", "/albums/1", newBody, []string{"Content-Type", "text/plain"}, 415, mediaType},
		{"NDJSON batch", "POST", "/albums/batch", newBody + "\n\n" + newBody + "\r\n", []string{"Content-Type", ndjson + "; charset=UTF-8"}, 201, `{"count":2,"ids":[4,5]}`},
		{"bad NDJSON batch", "POST", "/albums/batch", newBody + "\n{\n", []string{"Content-Type", ndjson}, 400,
			invalid("[1]", "the body must be one JSON object: unexpected end of JSON input")},
		{"empty key", "POST", "/albums", newBody, []string{"Idempotency-Key", ""}, 400, badKey},
		{"long key", "POST", "/albums", newBody, []string{"Idempotency-Key", strings.Repeat("k", 256)}, 400, badKey},
		{"two keys", "POST", "/albums", newBody, []string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, 400, badKey},
		{"key with a space", "POST", "/albums", newBody, []string{"Idempotency-Key", "a b"}, 400, badKey},
		{"prefer something else", "POST", "/albums", newBody, []string{"Prefer", "return=minimal"}, 201,
			`{"id":4,"title":"ab","artist":"cd","price":1.00,"created_at":"…"}`},
	} {
		for _, b := range backends {
			t.Run(tt.name+"/"+b.name, func(t *testing.T) {
				t.Parallel()
				resp, body := do(t, tt.method, start(t, b.open)+tt.path, tt.body, tt.header...)
				if body = stable(body); resp.StatusCode != tt.status || body != tt.want {
					t.Errorf("%s %s = %d\n%s, want %d\n%s", tt.method, tt.path, resp.StatusCode, body, tt.status, tt.want)
				}
			})
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := start(t, b.open)
			first, want := do(t, "POST", url+"/albums", newBody, "Idempotency-Key", `"8e03978e-40d5-43dd-bc93-6894a57f9324"`)
			if first.StatusCode != 201 || first.Header.Get("Idempotency-Replayed") != "" {
				t.Fatalf("%s %v", first.Status, first.Header)
			}
			// The same in other words.
			again, got := do(t, "POST", url+"/albums", `{"price":1.00, "artist":"cd", "title":"ab"}`, "Idempotency-Key", "8e03978e-40d5-43dd-bc93-6894a57f9324")
			if again.StatusCode != 201 || again.Header.Get("Idempotency-Replayed") != "true" || got != want || again.Header.Get("Location") != "/albums/4" {
				t.Errorf("again: %s %v\n%s, want the first answer\n%s", again.Status, again.Header, got, want)
			}
			other, got := do(t, "POST", url+"/albums/batch", "["+newBody+"]", "Idempotency-Key", "8e03978e-40d5-43dd-bc93-6894a57f9324")
			if want := problem("idempotency-key-reused", "this Idempotency-Key was used with another request", 422); other.StatusCode != 422 || got != want {
				t.Errorf("another request: %s\n%s, want\n%s", other.Status, got, want)
			}
			taken := `{"id":1,"title":"ab","artist":"cd","price":1}`
			do(t, "POST", url+"/albums", taken, "Idempotency-Key", "t")
			again, _ = do(t, "POST", url+"/albums", taken, "Idempotency-Key", "t")
			if again.StatusCode != 409 || again.Header.Get("Idempotency-Replayed") != "true" {
				t.Errorf("a refusal again: %s %v", again.Status, again.Header)
			}
		})
	}
}

func TestRespondAsync(t *testing.T) {
	t.Parallel()
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			url := start(t, b.open)
			end := func(location string) string {
				for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(time.Millisecond) {
					_, body := do(t, "GET", url+location, "")
					if !strings.Contains(body, `"status":"queued"`) && !strings.Contains(body, `"status":"running"`) {
						id := strings.TrimPrefix(location, "/operations/")
						return strings.Replace(stable(body), id, "ID", 1)
					}
					if time.Now().After(deadline) {
						t.Fatal(body)
					}
				}
			}
			for _, tt := range []struct{ path, body, want string }{
				{"/albums", newBody, `{"id":"ID","status":"succeeded","created_at":"…","started_at":"…","finished_at":"…","result":{"count":1,"ids":[4]}}`},
				{"/albums/batch", "[" + newBody + "," + newBody + "]",
					`{"id":"ID","status":"succeeded","created_at":"…","started_at":"…","finished_at":"…","result":{"count":2,"ids":[5,6]}}`},
				{"/albums", `{"id":1,"title":"ab","artist":"cd","price":1}`, `{"id":"ID","status":"failed","created_at":"…","started_at":"…","finished_at":"…","problem":` +
					problem("album-exists", "an album with this id exists", 409) + `}`},
			} {
				resp, body := do(t, "POST", url+tt.path, tt.body, "Prefer", "wait=10, respond-async", "Idempotency-Key", "k"+tt.body)
				if resp.StatusCode != 400 { // a key must not have such characters
					t.Errorf("%s %s", resp.Status, body)
				}
				resp, body = do(t, "POST", url+tt.path, tt.body, "Prefer", "wait=10, respond-async")
				if resp.StatusCode != 202 || resp.Header.Get("Preference-Applied") != "respond-async" {
					t.Fatalf("%s %v %s", resp.Status, resp.Header, body)
				}
				if got := end(resp.Header.Get("Location")); got != tt.want {
					t.Errorf("the operation ends as\n%s, want\n%s", got, tt.want)
				}
			}
			resp, _ := do(t, "POST", url+"/albums", `{"title":"a"}`, "Prefer", "respond-async")
			if resp.StatusCode != 400 { // at once
				t.Errorf("an invalid album: %s", resp.Status)
			}
		})
	}
}

// unsteady is a service whose stream fails in the middle, and whose database is unavailable.
type unsteady struct {
	album.Service
	after  int
	panics bool
}

func (u unsteady) Stream(context.Context, album.Filter) iter.Seq2[album.Album, error] {
	return func(yield func(album.Album, error) bool) {
		for i := range u.after {
			if !yield(albumtest.New(int64(i+1)), nil) {
				return
			}
		}
		if u.panics {
			panic("a bug")
		}
		yield(album.Album{}, errors.New("the disk is gone"))
	}
}

func (unsteady) Get(context.Context, int64) (album.Album, error) {
	return album.Album{}, fmt.Errorf("locked: %w", album.ErrNotReady)
}

func (unsteady) Create(context.Context, album.Write) (album.Created, error) {
	return album.Created{}, album.ErrKeyRunning
}

func (unsteady) Delete(context.Context, int64) error { return album.ErrFull }

// A stream that cannot be brought to its end breaks the connection, through the
// proxy too: no client takes a part for the whole.
func TestStreamBreaks(t *testing.T) {
	t.Parallel()
	for _, after := range []int{0, 10, 10000, -10000} {
		store := serve(t, albumhttp.Handler(unsteady{after: max(after, -after), panics: after < 0}, albumhttp.HandlerOptions{Service: "album-store"}))
		proxy := serve(t, albumhttp.Handler(newClient(t, store, albumapi.ClientOptions{}), albumhttp.HandlerOptions{Service: "proxy-service"}))
		for _, url := range []string{store, proxy} {
			req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/albums", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept", "application/x-ndjson")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == 200 && err == nil {
				t.Errorf("a stream that broke after %d albums ended like a whole one", after)
			}
		}
	}
}

// What the store says of itself passes through the proxy unchanged.
func TestStoreNotReady(t *testing.T) {
	t.Parallel()
	store := serve(t, albumhttp.Handler(unsteady{}, albumhttp.HandlerOptions{Service: "album-store"}))
	proxy := serve(t, albumhttp.Handler(newClient(t, store, albumapi.ClientOptions{}), albumhttp.HandlerOptions{Service: "proxy-service"}))
	for _, url := range []string{store, proxy} {
		resp, body := do(t, "GET", url+"/albums/1", "")
		if want := problem("store-not-ready", "album store is not ready", 503); resp.StatusCode != 503 || body != want || resp.Header.Get("Retry-After") != "1" {
			t.Errorf("%s %v\n%s, want\n%s", resp.Status, resp.Header, body, want)
		}
		resp, body = do(t, "POST", url+"/albums", newBody, "Idempotency-Key", "k")
		want := problem("idempotency-key-in-use", "a request with this Idempotency-Key is in progress", 409)
		if resp.StatusCode != 409 || body != want || resp.Header.Get("Retry-After") != "1" {
			t.Errorf("%s %v\n%s, want\n%s", resp.Status, resp.Header, body, want)
		}
	}
}

// The contract and its page are served by both services.
func TestDocs(t *testing.T) {
	t.Parallel()
	for _, b := range backends {
		url := start(t, b.open)
		for path, want := range map[string]string{
			"/openapi.yaml":                       "openapi: 3.0.3",
			"/v3/api-docs/":                       "swagger-initializer.js",
			"/v3/api-docs/swagger-initializer.js": `url: "../../openapi.yaml"`,
			"/v3/api-docs/swagger-ui-bundle.js":   "SwaggerUI",
			"/v3/api-docs/swagger-ui.css":         ".swagger-ui",
		} {
			if resp, body := do(t, "GET", url+path, ""); resp.StatusCode != 200 || !strings.Contains(body, want) {
				t.Errorf("%s: GET %s = %s, without %q", b.name, path, resp.Status, want)
			}
		}
		if resp, _ := do(t, "GET", url+"/v3/api-docs/nope.js", ""); resp.StatusCode != 404 {
			t.Errorf("a file that is not there: %s", resp.Status)
		}
	}
}

// A client that leaves ends its stream in the store.
func TestStreamClientLeaves(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	store := serve(t, albumhttp.Handler(endless{ended: ended}, albumhttp.HandlerOptions{Service: "album-store"}))
	proxy := serve(t, albumhttp.Handler(newClient(t, store, albumapi.ClientOptions{}), albumhttp.HandlerOptions{Service: "proxy-service"}))
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, "GET", proxy+"/albums", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var a album.Album
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || a.ID != 1 {
		t.Fatal(a, err)
	}
	leave()
	select {
	case <-ended:
	case <-time.After(5 * time.Minute):
		t.Fatal("the store goes on after the client has left")
	}
}

// endless has albums without end.
type endless struct {
	album.Service
	ended chan struct{}
}

func (e endless) Stream(ctx context.Context, _ album.Filter) iter.Seq2[album.Album, error] {
	return func(yield func(album.Album, error) bool) {
		defer close(e.ended)
		for i := int64(1); ctx.Err() == nil; i++ {
			if !yield(albumtest.New(i), nil) {
				return
			}
		}
	}
}
