package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"soundcheck/internal/albumhttp"
)

// contractService is a service that accepts every request with its token, and the file of its contract.
func contractService(t *testing.T) (url, file string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"id": 7}`)
	}))
	t.Cleanup(s.Close)
	file = filepath.Join(t.TempDir(), "api.yaml")
	if err := os.WriteFile(file, []byte(`
openapi: 3.0.3
info: { title: a, version: b }
servers: [{ url: /v1 }]
security: [{ token: [] }]
paths:
  /items/{id}:
    get:
      operationId: getItem
      parameters: [{ name: id, in: path, required: true, schema: { type: integer, minimum: 1 } }]
      responses:
        "200": { description: a, content: { application/json: { schema: { type: object, required: [id], properties: { id: { type: integer } } } } } }
        4XX: { description: b }
  /items:
    get:
      operationId: listItems
      responses: { "200": { description: a, content: { application/json: { schema: { type: array, items: {} } } } } }
components: { securitySchemes: { token: { type: http, scheme: bearer } } }
`), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.URL, file
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	url, file := contractService(t)
	stdout, stderr, code := loadgen(t.Context(), "-openapi", file, "-url", url, "-rate", "0", "-workers", "2", "-n", "20", "-mix", "getItem=1", "-H", "Authorization: Bearer secret", "-slo", "good(getItem)>=100%", "-slo", "p99(getItem)<10s")
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q\n%s", code, stderr, stdout)
	}
	stdout, stderr, code = loadgen(t.Context(), "-openapi", file, "-url", url, "-rate", "0", "-workers", "2", "-n", "20", "-mix", "getItem=1")
	if want := "loadgen: " + file + ": the contract needs bearer authentication: add -H 'Authorization: Bearer ...'\n"; code != 1 || !strings.HasPrefix(stderr, want) || !strings.Contains(stdout, "status 401 for getItem") {
		t.Errorf("exit code %d, stderr %q, want 1 and %q\n%s", code, stderr, want, stdout)
	}
	// The list is an object: a failed check.
	stdout, _, code = loadgen(t.Context(), "-openapi", file, "-url", url, "-rate", "0", "-workers", "2", "-n", "20", "-H", "Authorization: Bearer secret")
	if code != 1 || !strings.Contains(stdout, "listItems  response violates the contract: 200 body : type") {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
}

// A recording of generated requests is replayed without the contract.
func TestOpenAPIReplay(t *testing.T) {
	t.Parallel()
	url, file := contractService(t)
	recording := filepath.Join(t.TempDir(), "r.jsonl")
	if stdout, stderr, code := loadgen(t.Context(), "-openapi", file, "-url", url, "-rate", "0", "-workers", "2", "-n", "20", "-mix", "getItem=1", "-H", "Authorization: Bearer secret", "-invalid", "0.5", "-record", recording, "-slo", "p99(getItem)<10s"); code != 0 || stderr != "" {
		t.Fatalf("exit code %d, stderr %q\n%s", code, stderr, stdout)
	}
	stdout, stderr, code := loadgen(t.Context(), "-replay", recording, "-url", url, "-H", "Authorization: Bearer secret", "-slo", "p99(getItem)<10s", "-slo", "p99(getItem-invalid)<10s")
	if code != 3 && code != 4 || !strings.Contains(stdout, "status 200 for getItem-invalid") || strings.Contains(stdout, "for getItem:") { // it accepts everything, and a busy machine makes the report invalid
		t.Errorf("exit code %d, stderr %q\n%s", code, stderr, stdout)
	}
}

func TestOpenAPIUsage(t *testing.T) {
	t.Parallel()
	_, file := contractService(t)
	albums := filepath.Join(t.TempDir(), "albums.yaml")
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	free := filepath.Join(t.TempDir(), "free.yaml")
	for name, text := range map[string]string{albums: string(albumhttp.Contract), broken: "openapi: 3.0.3\ninfo: {title: a}\npaths: {}",
		free: "openapi: 3.0.3\ninfo: {title: a, version: b}\npaths: {/: {get: {responses: {'200': {description: a}}}}}"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-openapi", "missing.yaml"}, "-openapi: open missing.yaml: no such file or directory"},
		{[]string{"-openapi", "http://service/openapi.yaml"}, "-openapi: http://service/openapi.yaml is a URL: store the document in a file"},
		{[]string{"-openapi", broken}, "-openapi: " + broken + ": invalid info: "},
		{[]string{"-openapi", file, "-mix", "get=1"}, `-mix: "get=1" is not operation=weight; operations: listItems, getItem`},
		{[]string{"-openapi", file, "-mix", "getItem=x"}, "-mix: the weight of getItem is out of range: 0 to 1000"},
		{[]string{"-openapi", file, "-invalid", "1.5"}, "-invalid: 1.5 is out of range: 0 to 1"},
		{[]string{"-openapi", file, "-invalid", "NaN"}, "-invalid: NaN is out of range: 0 to 1"},
		{[]string{"-openapi", free, "-invalid", "0.5"}, "-invalid: the contract allows everything"},
		{[]string{"-invalid", "0.5"}, "-invalid needs -openapi"},
		{[]string{"-openapi", file, "http://a"}, "-openapi and http://a do not go together: -url is the base URL of the contract's paths"},
		{[]string{"-openapi", file, "-targets", "x"}, "-targets and -openapi do not go together"},
		{[]string{"-openapi", file, "-replay", "x"}, "-replay and -openapi do not go together"},
		{[]string{"-openapi", file, "-flow", "x"}, "-flow and -openapi do not go together"},
		{[]string{"-openapi", file, "-slo", "p99(get)<1s"}, "-slo p99(get)<1s: scenario get is not in the workload, which has getItem, listItems"},
		{[]string{"-openapi", file, "-slo", "p99(getItem-invalid)<1s"}, "-slo p99(getItem-invalid)<1s: scenario getItem-invalid is not in the workload"},
	} {
		stdout, stderr, code := loadgen(t.Context(), tt.args...)
		if code != 2 || stdout != "" || !strings.HasPrefix(stderr, "loadgen: "+tt.want) {
			t.Errorf("loadgen %q: exit code %d, stdout %q, stderr %q, want 2, none, %q", tt.args, code, stdout, stderr, tt.want)
		}
	}
}
