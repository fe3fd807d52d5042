package verify

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"soundcheck/internal/jaegerapi"
)

// code writes names as Markdown does.
func code(names ...string) string {
	if len(names) == 0 {
		return ""
	}
	return "`" + strings.Join(names, "`, `") + "`"
}

// spanTable is the table of spans in docs/telemetry.md.
func spanTable() string {
	var b strings.Builder
	b.WriteString("| span | service | kind | attributes | error |\n|---|---|---|---|---|\n")
	for _, r := range spanRules {
		errorIf, name := "5xx", code(strings.Split(r.name, ", ")...)
		switch {
		case r.waits:
			errorIf = ""
		case r.errorFrom == 0:
			errorIf = "only if a server failed"
		case r.errorFrom == 400:
			errorIf = "4xx, 5xx, no response"
		}
		if r.requests != nil {
			name += " of " + code(r.requests...)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", name, cmp.Or(strings.Join(r.services, ", "), "any"), r.kind, code(r.attributes...), errorIf)
	}
	return b.String()
}

// exemplarTable and optionalTable are those in docs/verify.md.
func exemplarTable() string {
	var b strings.Builder
	b.WriteString("| histogram with exemplars | service |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(exemplarHistograms)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, strings.Join(exemplarHistograms[name], ", "))
	}
	return b.String()
}

func optionalTable() string {
	var b strings.Builder
	b.WriteString("| metric | may be missing: |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(optionalMetrics)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, optionalMetrics[name])
	}
	return b.String()
}

// The documents have the tables that the checks follow from.
func TestDeclaredInDocs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ file, table string }{
		{"telemetry.md", spanTable()},
		{"telemetry.md", "whose resource has " + code(resourceAttributes...)},
		{"verify.md", exemplarTable()},
		{"verify.md", optionalTable()},
		{"verify.md", "No span has " + code(personalAttributes...)},
	} {
		b, err := os.ReadFile("../../docs/" + tt.file)
		if err != nil {
			t.Fatal(err)
		}
		if words := strings.Join(strings.Fields(string(b)), " "); !strings.Contains(words, strings.Join(strings.Fields(tt.table), " ")) {
			t.Errorf("docs/%s differs from declared.go, which says:\n%s", tt.file, tt.table)
		}
	}
}

// Every kind of request of the load has calls that can be in its trace, and every span that
// the checks of a trace's shape expect is declared.
func TestDeclaredSpans(t *testing.T) {
	t.Parallel()
	for _, request := range []string{"GET /albums", "GET /albums/:id", "PUT /albums/:id", "DELETE /albums/:id", "POST /albums", "POST /albums/batch", "GET /operations/:id"} {
		if len(calls(request)) == 0 {
			t.Errorf("%s has no call", request)
		}
	}
	for _, tt := range []struct{ service, kind, name, want string }{
		{loadgenName, "client", "GET /albums", "METHOD ROUTE"},
		{storeService, "server", "GET /albums", "METHOD ROUTE"},
		{loadgenName, "server", "GET /albums", ""},
		{storeService, "internal", "album.get", "album.get"},
		{storeService, "internal", "album.gone", ""},
		{storeService, "client", "COMMIT", "BEGIN, COMMIT, ROLLBACK"},
		{storeService, "client", "SELECT albums", "STATEMENT TABLE"},
		{proxyService, "client", "SELECT albums", ""},
		{proxyService, "internal", "overload queue", "overload queue"},
		{storeService, "internal", "fault delay", "fault KIND"},
	} {
		r := ruleOf(&span{service: tt.service, Span: &jaegerapi.Span{OperationName: tt.name, Tags: jaegerapi.Tags{{Key: "span.kind", Value: tt.kind}}}})
		if r == nil && tt.want != "" || r != nil && r.name != tt.want {
			t.Errorf("%s %s %q: %+v, want %q", tt.service, tt.kind, tt.name, r, tt.want)
		}
	}
}
