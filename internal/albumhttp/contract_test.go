package albumhttp

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"soundcheck/internal/album"
)

// The router has what the contract has, and nothing else.
func TestRoutes(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(Contract)
	if err != nil {
		t.Fatal(err)
	}
	var contract, routes []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			contract = append(contract, method+" "+path)
		}
	}
	for _, r := range newRouter(album.NewMemory(), HandlerOptions{Docs: http.NotFoundHandler()}).Routes() {
		parts := strings.Split(r.Path, "/")
		for i, p := range parts {
			if strings.HasPrefix(p, ":") || strings.HasPrefix(p, "*") {
				parts[i] = "{" + p[1:] + "}"
			}
		}
		routes = append(routes, r.Method+" "+strings.Join(parts, "/"))
	}
	slices.Sort(contract)
	slices.Sort(routes)
	if !slices.Equal(contract, routes) {
		t.Errorf("the contract has\n%s\nthe router\n%s", strings.Join(contract, "\n"), strings.Join(routes, "\n"))
	}
}
