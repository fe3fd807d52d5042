#!/bin/sh
# modernc.org/sqlite v1.61.1: binding numbered parameters takes time in the square of their number.
#
# Expected: ?1, ?2, ... as fast as ?, ?, ...: SQLite numbers both, and a number is less to do than a name.
# Seen: a statement with 3,500 numbered parameters takes several times as long. The driver asks SQLite for the name of
#   each parameter (sqlite3_bind_parameter_name), and SQLite searches its list of names from the start each time. A plain ?
#   has no name, so that its list is empty:
#   https://gitlab.com/cznic/sqlite/-/blob/v1.61.1/conn.go
#   https://www.sqlite.org/c3ref/bind_parameter_name.html
# It needs Go and a module proxy. It compares times of the same process, as a ratio.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'EOF'
package main

import (
	"database/sql"
	"fmt"
	"strings"
	"time"

	_ "modernc.org/sqlite"
)

// parameters of one statement.
const parameters = 3500

func main() {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		panic(err)
	}
	db.SetMaxOpenConns(1)
	var plain, numbered []string
	var values []any
	for i := range parameters {
		plain, numbered, values = append(plain, "?"), append(numbered, fmt.Sprintf("?%d", i+1)), append(values, i)
	}
	fastest := func(list []string) time.Duration {
		best := time.Hour
		query := "SELECT count(*) FROM (VALUES (" + strings.Join(list, "),(") + "))"
		for range 7 {
			start := time.Now()
			var n int
			if err := db.QueryRow(query, values...).Scan(&n); err != nil || n != len(list) {
				panic(fmt.Sprint(n, err))
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	a, b := fastest(plain), fastest(numbered)
	fmt.Printf("numbered parameters at least twice as slow: %t\n", b > 2*a)
	println(a.String(), "with ?,", b.String(), "with ?1, ?2, ...")
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get modernc.org/sqlite@v1.61.1 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
got=$(go run .)
want='numbered parameters at least twice as slow: true'
echo "$(go list -m modernc.org/sqlite)"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi
