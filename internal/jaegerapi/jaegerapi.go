// Package jaegerapi is a client of Jaeger's query API, with the JSON of its traces.
package jaegerapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// maxResponse is how much of a response is read: 1500 traces have some ten MB.
const maxResponse = 256 << 20

// Client calls the query API of a Jaeger.
type Client struct {
	URL    string // without a final slash
	Client *http.Client
}

// Error is a response with an error status.
type Error struct {
	Status int
	// Message is Jaeger's own, or the status and the beginning of the body.
	Message string

	url, status string
}

// Error implements error.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s responded %s", e.url, e.status)
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Services returns the names of the services that have sent spans.
func (c Client) Services(ctx context.Context) ([]string, error) {
	var body struct{ Data []string }
	err := c.Get(ctx, "/api/services", nil, &body)
	return body.Data, err
}

// Search returns the traces that match a query of /api/traces, in Jaeger's order: service,
// operation, tags, start and end in µs since 1970, limit; or, by their ids, traceID.
func (c Client) Search(ctx context.Context, query url.Values) ([]*Trace, error) {
	var body struct{ Data []*Trace }
	err := c.Get(ctx, "/api/traces", query, &body)
	return body.Data, err
}

// Trace returns the spans of a trace that are stored so far. The error is an *Error with
// status 404 if there are none.
func (c Client) Trace(ctx context.Context, id string) (*Trace, error) {
	var body struct{ Data []*Trace }
	path := "/api/traces/" + url.PathEscape(id)
	if err := c.Get(ctx, path, nil, &body); err != nil {
		return nil, err
	}
	if len(body.Data) == 0 {
		return nil, &Error{Status: http.StatusNotFound, url: c.URL + path, status: "without a trace"}
	}
	return body.Data[0], nil
}

// Get reads a JSON response. The error is an *Error unless its status is 200.
func (c Client) Get(ctx context.Context, path string, query url.Values, into any) error {
	at := c.URL + path
	address := at
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := c.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := read(resp.Body, maxResponse)
	switch {
	case err != nil:
		return fmt.Errorf("read the response of %s: %w", at, err)
	case resp.StatusCode != http.StatusOK:
		var problem struct{ Errors []struct{ Msg string } }
		e := &Error{Status: resp.StatusCode, Message: string(bytes.TrimSpace(b[:min(len(b), 300)])), url: at, status: resp.Status}
		if json.Unmarshal(b, &problem) == nil && len(problem.Errors) > 0 {
			e.Message = problem.Errors[0].Msg
		}
		return e
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("read the response of %s (%s): %w", at, cmp.Or(resp.Header.Get("Content-Type"), "no Content-Type"), err)
	}
	return nil
}

// read reads a response of at most so many bytes.
func read(body io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, fmt.Errorf("the response is larger than %d MiB", limit>>20)
	}
	return b, err
}
