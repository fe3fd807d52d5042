#!/bin/sh
# klauspost/compress v1.20.1: gzhttp.SuffixETag changes the ETag of a compressed response, but not
# If-None-Match of the next request, so that a revalidation never gets a 304.
#
# Expected: 304 for the ETag that the server itself sent. If-None-Match is false when a listed entity tag
#   matches that of the selected representation, and then a GET has to get 304:
#   https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
# Seen: the handler compares the tag with the suffix to its own without. Only startCompression knows the suffix:
#   https://github.com/klauspost/compress/blob/v1.20.1/gzhttp/compress.go
# It needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'EOF'
package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"
)

func run(title string, wrap func(http.Handler) http.HandlerFunc) {
	handler := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		http.ServeContent(w, r, "page.txt", time.Time{}, strings.NewReader(strings.Repeat("text ", 1000)))
	}))
	get := func(etag string) *http.Response {
		req := httptest.NewRequest("GET", "/page.txt", nil)
		req.Header.Set("Accept-Encoding", "gzip")
		if etag != "" {
			req.Header.Set("If-None-Match", etag)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		return w.Result()
	}
	first := get("")
	etag := first.Header.Get("ETag")
	fmt.Printf("%s: %d %s ETag %s, with If-None-Match %s: %d\n", title, first.StatusCode,
		first.Header.Get("Content-Encoding"), etag, etag, get(etag).StatusCode)
}

func main() {
	plain, err := gzhttp.NewWrapper()
	if err != nil {
		panic(err)
	}
	suffix, err := gzhttp.NewWrapper(gzhttp.SuffixETag("-gzip"))
	if err != nil {
		panic(err)
	}
	run("default", plain)
	run("SuffixETag", suffix)
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get github.com/klauspost/compress@v1.20.1 >/dev/null 2>&1
got=$(go run .)
want='default: 200 gzip ETag "v1", with If-None-Match "v1": 304
SuffixETag: 200 gzip ETag "v1-gzip", with If-None-Match "v1-gzip": 200'
echo "$(go list -m github.com/klauspost/compress)"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi
