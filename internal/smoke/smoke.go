// Package smoke sends ten requests to an album store or a proxy, and checks each response.
package smoke

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// requests are first requests to an album store: some succeed,
// some must be rejected. They can be sent to a store in use: album 10 may
// exist already, and so may album 666, which a new store does not have.
var requests = []struct {
	method, path, body string
	want               []int
}{
	{"GET", "/albums/1", "", []int{200}},
	{"GET", "/albums/666", "", []int{404, 200}},
	{"GET", "/albums/X", "", []int{400}},
	{"GET", "/albums", "", []int{200}},
	{"POST", "/albums", `{"idx": 10, "titlexx": "Blue Train", "artistx": "Lou Donaldson", "price": 56.99}`, []int{400}},
	{"POST", "/albums", `{"id": -1, "title": "a", "artist": "z", "price": -0.1}`, []int{400}},
	{"POST", "/albums", `{"id": 10,`, []int{400}},
	{"POST", "/albums", `{"id": 10, "title": "The Ozzman Cometh", "artist": "Black Sabbath", "price": 66.60}`, []int{201, 409}},
	{"GET", "/status", "", []int{200}},
	{"GET", "/metrics", "", []int{200}},
}

// NoResponse is the error of a request without a response.
type NoResponse struct{ error }

// Unwrap returns the client's error.
func (e NoResponse) Unwrap() error { return e.error }

// Run sends the requests to the service at a base URL and writes the responses. The error names those
// that were wrong.
func Run(ctx context.Context, client *http.Client, base string, w io.Writer) error {
	base = strings.TrimSuffix(base, "/")
	var wrong []string
	for i, r := range requests {
		req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, strings.NewReader(r.body))
		if err != nil {
			return err
		}
		if r.body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		resp, err := client.Do(req)
		if err != nil {
			return NoResponse{err}
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, 10<<20))
		resp.Body.Close()
		if err != nil {
			return fmt.Errorf("%s %s: read the response: %w", r.method, r.path, err)
		}
		verdict := "ok"
		if !slices.Contains(r.want, resp.StatusCode) {
			verdict = fmt.Sprintf("WRONG, want %v", r.want)
			wrong = append(wrong, fmt.Sprintf("%d (%s %s): %d, want %s", i+1, r.method, r.path, resp.StatusCode, either(r.want)))
		}
		fmt.Fprintf(w, "%2d  %-4s %s %s\n    %s: %s\n%s\n", i+1, r.method, r.path, r.body, resp.Status, verdict, excerpt(body))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d of %d responses were wrong: %s", len(wrong), len(requests), strings.Join(wrong, "; "))
	}
	_, err := fmt.Fprintf(w, "all %d responses as expected\n", len(requests))
	return err
}

// either lists the accepted statuses: 404 or 200.
func either(statuses []int) string {
	return strings.Join(strings.Fields(strings.Trim(fmt.Sprint(statuses), "[]")), " or ")
}

// excerpt indents the beginning of a response.
func excerpt(body []byte) string {
	const most = 12
	var b bytes.Buffer
	if json.Indent(&b, body, "", "  ") == nil {
		body = b.Bytes()
	}
	lines := strings.Split(strings.TrimSpace(string(body)), "\n")
	if len(lines) > most {
		lines = append(lines[:most], fmt.Sprintf("… %d more lines", len(lines)-most))
	}
	return "      " + strings.Join(lines, "\n      ")
}
