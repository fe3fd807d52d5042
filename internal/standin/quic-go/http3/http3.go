// Package http3 replaces quic-go in our programs: Gin links it for RunQUIC, which nothing calls.
// It declares what Gin refers to, and returns an error.
package http3

import (
	"errors"
	"net/http"
)

// ListenAndServeQUIC returns an error.
func ListenAndServeQUIC(addr, certFile, keyFile string, handler http.Handler) error {
	return errors.New("this program is built without github.com/quic-go/quic-go: remove its replace directive from go.mod")
}
