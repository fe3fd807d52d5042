#!/bin/sh
# gin v1.12.0: ClientIP does not read an address with a port in X-Forwarded-For, and takes the proxy for
# the client.
#
# Expected: the address 203.0.113.4. Azure Application Gateway writes ip:port, for one:
#   https://azure.microsoft.com/en-us/blog/rewrite-http-headers-with-azure-application-gateway/
#   ("The format of this header is a comma-separated list of IP:Port"). Brackets around
#   IPv6 are how RFC 7239, section 6, writes it.
# Seen: net.ParseIP of the whole element fails, and the header counts for nothing, validateHeader in gin.go:
#   https://github.com/gin-gonic/gin/blob/v1.12.0/gin.go
# It needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'EOF'
package main

import (
	"fmt"
	"net/http/httptest"

	"github.com/gin-gonic/gin"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	if err := r.SetTrustedProxies([]string{"192.0.2.1"}); err != nil {
		panic(err)
	}
	r.GET("/", func(c *gin.Context) { c.String(200, c.ClientIP()) })
	for _, from := range []string{"203.0.113.4", "203.0.113.4:5000", "2001:db8::1", "[2001:db8::1]:5000", "[2001:db8::1]"} {
		req := httptest.NewRequest("GET", "/", nil)
		req.RemoteAddr = "192.0.2.1:1234"
		req.Header.Set("X-Forwarded-For", from)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		fmt.Println(from, "->", w.Body)
	}
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get github.com/gin-gonic/gin@v1.12.0 >/dev/null 2>&1
got=$(go run .)
want='203.0.113.4 -> 203.0.113.4
203.0.113.4:5000 -> 192.0.2.1
2001:db8::1 -> 2001:db8::1
[2001:db8::1]:5000 -> 192.0.2.1
[2001:db8::1] -> 192.0.2.1'
echo "$(go list -m github.com/gin-gonic/gin)"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi
