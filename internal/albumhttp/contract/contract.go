// Package contract validates requests and responses against the API's OpenAPI description.
package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"soundcheck/internal/albumhttp"
)

// Document is the contract.
var Document, router = load()

func load() (*openapi3.T, routers.Router) {
	// As text: the contract has no schema for their content.
	text := func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
		b, err := io.ReadAll(body)
		return string(b), err
	}
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", text)
	openapi3filter.RegisterBodyDecoder("application/yaml", text)
	doc, err := openapi3.NewLoader().LoadFromData(albumhttp.Contract)
	if err == nil {
		err = doc.Validate(context.Background())
	}
	if err != nil {
		panic(err)
	}
	doc.Servers = nil // any server
	r, err := legacy.NewRouter(doc)
	if err != nil {
		panic(err)
	}
	return doc, r
}

// Transport sends requests through next (nil: http.DefaultTransport) and fails the
// test if a response, or an accepted request, violates the contract. It reads responses
// completely.
func Transport(t testing.TB, next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{t, next}
}

type transport struct {
	t    testing.TB
	next http.RoundTripper
}

func (tr *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := readAll(&req.Body)
	if err != nil {
		return nil, err
	}
	resp, err := tr.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	answer, err := readAll(&resp.Body)
	if err != nil {
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(answer), failing{err})) // incomplete: nothing to validate
		return resp, nil
	}
	if err := Check(req, body, resp, answer); err != nil {
		tr.t.Errorf("%s %s: against the contract: %v\n%.500s\n%s\n%.500s", req.Method, req.URL, err, body, resp.Status, answer)
	}
	return resp, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// readAll reads a body and replaces it with a copy.
func readAll(body *io.ReadCloser) ([]byte, error) {
	if *body == nil {
		return nil, nil
	}
	b, err := io.ReadAll(*body)
	(*body).Close()
	*body = io.NopCloser(bytes.NewReader(b))
	return b, err
}

// Check returns an error if a response violates the contract, or if an invalid request was accepted.
func Check(req *http.Request, body []byte, resp *http.Response, answer []byte) error {
	if strings.HasPrefix(req.URL.Path, "/v3/api-docs/") {
		return nil // Swagger UI's files
	}
	r := req.Clone(context.Background())
	r.Body = io.NopCloser(bytes.NewReader(body))
	if len(body) > 0 && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json") // the default
	}
	if resp.StatusCode/100 == 3 {
		return fmt.Errorf("%s: the contract has no redirects", resp.Status)
	}
	route, params, err := router.FindRoute(r)
	slash := strings.HasSuffix(req.URL.Path, "/") // the router ignores it
	if err != nil || slash || resp.StatusCode == http.StatusMethodNotAllowed {
		return checkNoRoute(req, resp, answer)
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true}}
	refused := openapi3filter.ValidateRequest(r.Context(), in)
	if refused != nil && resp.StatusCode < 400 {
		return fmt.Errorf("accepted with %s: %w", resp.Status, refused)
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header,
		Body: io.NopCloser(bytes.NewReader(answer)), Options: in.Options}
	if req.Method == http.MethodHead {
		out.Options = &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: true}
	}
	return openapi3filter.ValidateResponse(r.Context(), out)
}

// checkNoRoute checks the response to a path or method that is not in the contract.
func checkNoRoute(req *http.Request, resp *http.Response, answer []byte) error {
	if item := Document.Paths.Find(req.URL.Path); item != nil && (resp.StatusCode == http.StatusMethodNotAllowed || req.Method == http.MethodOptions) {
		want := []string{http.MethodOptions}
		for method := range item.Operations() {
			want = append(want, method)
		}
		got := strings.Split(resp.Header.Get("Allow"), ", ")
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("Allow %q, want %q", got, want)
		}
	}
	switch {
	case req.Method == http.MethodOptions && resp.StatusCode == http.StatusNoContent:
		if resp.Header.Get("Allow") == "" {
			return errors.New("a response to OPTIONS without Allow")
		}
		return nil
	case resp.StatusCode == http.StatusMethodNotAllowed && resp.Header.Get("Allow") == "":
		return errors.New("a 405 without Allow")
	case resp.StatusCode != http.StatusMethodNotAllowed && resp.StatusCode != http.StatusNotFound:
		return fmt.Errorf("%s, but the contract has no such route", resp.Status)
	case resp.Header.Get("Content-Type") != "application/problem+json":
		return fmt.Errorf("Content-Type %q of an error", resp.Header.Get("Content-Type"))
	case req.Method == http.MethodHead:
		return nil
	}
	var value any
	problem := Document.Components.Schemas["Problem"].Value
	if err := json.Unmarshal(answer, &value); err != nil {
		return err
	}
	return problem.VisitJSON(value)
}
