#!/bin/sh
# vegeta v12.13.0, HTTP targets: a request line below a header becomes a header of the request above it.
#
# Expected: two requests, or an error. Without headers, each line is a request ("Simple targets"), and vegeta
#   recognizes a request line by its method (startsWithHTTPMethod), below a request line too:
#   https://github.com/tsenart/vegeta/blob/v12.13.0/README.md
# Seen: one request, with a header named "GET http". Among headers NewHTTPTargeter looks for no request line:
#   https://github.com/tsenart/vegeta/blob/v12.13.0/lib/targets.go
# It needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'EOF'
package main

import (
	"fmt"
	"strings"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

func main() {
	for _, in := range []string{"GET http://a/\nGET http://b/\n", "GET http://a/\nX: 1\nGET http://b/\n"} {
		list, err := vegeta.ReadAllTargets(vegeta.NewHTTPTargeter(strings.NewReader(in), nil, nil))
		fmt.Printf("%q:", in)
		for _, t := range list {
			fmt.Printf(" %s %s %v", t.Method, t.URL, t.Header)
		}
		fmt.Println("", err)
	}
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get github.com/tsenart/vegeta/v12@v12.13.0 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
got=$(go run .)
want='"GET http://a/\nGET http://b/\n": GET http://a/ map[] GET http://b/ map[] <nil>
"GET http://a/\nX: 1\nGET http://b/\n": GET http://a/ map[GET http:[//b/] X:[1]] <nil>'
echo "$(go list -m github.com/tsenart/vegeta/v12)"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi
