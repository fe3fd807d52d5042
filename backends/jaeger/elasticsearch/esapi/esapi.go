// Package esapi has the calls that Jaeger refers to.
package esapi

import (
	"io"
	"net/http"
)

// Indices are calls about indices.
type Indices struct {
	PutIndexTemplate func(name string, body io.Reader, options ...func(*http.Request)) (*http.Response, error)
}
