#!/bin/sh
# kin-openapi v0.152.0: openapi3filter.ValidateResponse accepts every response to HEAD: an undocumented status, and one
# without a required header.
#
# Expected: the same errors as for GET, except for the body. A response to HEAD has the status and headers of one to GET
# (RFC 9110, section 9.3.2), and IncludeResponseStatus is documented as "fails on response status not defined in OpenAPI
# spec".
# Seen: it returns nil before it looks at anything, validate_response.go:
#   https://github.com/getkin/kin-openapi/blob/v0.152.0/openapi3filter/validate_response.go
# It needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'EOF'
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

const contract = `
openapi: 3.0.3
info: { title: a, version: "1" }
paths:
  /a:
    get: &operation
      responses:
        "200": { description: b, headers: { ETag: { required: true, schema: { type: string } } } }
    head: *operation
`

func main() {
	doc, err := openapi3.NewLoader().LoadFromData([]byte(contract))
	if err != nil {
		panic(err)
	}
	for _, method := range []string{"GET", "HEAD"} {
		for _, status := range []int{200, 418} {
			item := doc.Paths.Value("/a")
			in := &openapi3filter.RequestValidationInput{Request: &http.Request{Method: method, URL: &url.URL{Path: "/a"}},
				Route: &routers.Route{Spec: doc, Path: "/a", PathItem: item, Method: method, Operation: item.GetOperation(method)}}
			err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{RequestValidationInput: in,
				Status: status, Header: http.Header{}, Options: &openapi3filter.Options{IncludeResponseStatus: true}})
			fmt.Println(method, status, err != nil)
		}
	}
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get github.com/getkin/kin-openapi@v0.152.0 >/dev/null 2>&1
got=$(go run .)
want='GET 200 true
GET 418 true
HEAD 200 false
HEAD 418 false'
echo "$(go list -m github.com/getkin/kin-openapi)"
echo "method, status, rejected:"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi
