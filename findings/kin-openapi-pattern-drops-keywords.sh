#!/bin/sh
# kin-openapi v0.152.0: with one pattern that Go's regexp does not have, EnableJSONSchema2020 checks no keyword of JSON
# Schema 2020-12 in the whole schema: const, if and prefixItems accept every value, without an error.
#
# Expected: an error about the pattern, or the other keywords checked. Patterns are ECMA-262 regular expressions, which have
# lookaheads (JSON Schema 2020-12, validation, section 6.3.3; core, section 6.4), so the schema is valid.
# Seen: when the schema does not compile, the value is checked by the validator of OpenAPI 3.0, which knows none of these
# keywords, Schema.useJSONSchema2020 in schema_jsonschema_validator.go:
#   https://github.com/getkin/kin-openapi/blob/v0.152.0/openapi3/schema_jsonschema_validator.go
# It needs Go and a module proxy.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'EOF'
package main

import (
	"fmt"

	"github.com/getkin/kin-openapi/openapi3"
)

const contract = `
openapi: 3.1.0
info: { title: a, version: "1" }
paths: {}
components:
  schemas:
    A:
      type: object
      properties: { kind: { const: order } }
      patternProperties: { %q: { type: string } }
`

func main() {
	for _, pattern := range []string{"^note", "^(?!kind)"} {
		doc, err := openapi3.NewLoader().LoadFromData(fmt.Appendf(nil, contract, pattern))
		if err != nil {
			panic(err)
		}
		err = doc.Components.Schemas["A"].Value.VisitJSON(map[string]any{"kind": "cart"}, openapi3.EnableJSONSchema2020())
		fmt.Println(pattern, err != nil)
	}
}
EOF
export GOWORK=off GOFLAGS=-mod=mod
go mod init finding >/dev/null 2>&1
go get github.com/getkin/kin-openapi@v0.152.0 >/dev/null 2>&1
got=$(go run .)
want='^note true
^(?!kind) false'
echo "$(go list -m github.com/getkin/kin-openapi)"
echo "pattern in patternProperties, {\"kind\":\"cart\"} rejected by const: order:"
echo "$got"
if [ "$got" != "$want" ]; then
	printf 'the behaviour has changed; it was\n%s\n' "$want" >&2
	exit 1
fi
