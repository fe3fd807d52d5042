package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// An upgrade without the values of the database does not take it from the release.
func TestDatabaseStays(t *testing.T) {
	const store = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: soundcheck-album-store}
spec:
  template:
    metadata: {labels: {app.kubernetes.io/component: album-store}}
    spec: {containers: [{image: "registry:5000/soundcheck/album-store:v1", args: ["-addr=:9080"ARG]}]}
`
	for _, tt := range []struct{ name, arg, before, set, want string }{
		{"forgotten", "", "sqlite", "", "release soundcheck has its albums in sqlite, and these values would change it to memory, without them: repeat the values of the last revision"},
		{"confirmed", "", "sqlite", "database.kind=memory", "the upgrade"},
		{"as before", "", "memory", "", "the upgrade"},
		{"another database", ", -migrate=check", "sqlite", "", "the upgrade"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stub(t, map[string]string{"template": strings.ReplaceAll(store, "ARG", tt.arg), "release.error": "", "release": `{"info":{"status":"deployed"}}`,
				"values": `{"database":{"kind":"` + tt.before + `"}}`, "upgrade.error": "Error: the upgrade"})
			args := slices.Clone(none)
			if tt.set != "" {
				args = append(args, "-set", tt.set)
			}
			if _, stderr, code := deploy(t.Context(), args...); code != 1 || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit code %d, %s\nwant %s", code, stderr, tt.want)
			}
		})
	}
}

// The chart starts stores with the flag by which this program knows that they have a database, and only those.
func TestChartMarksDatabase(t *testing.T) {
	b, err := os.ReadFile("charts/soundcheck/templates/store.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(strings.Fields(string(b)), " "); !strings.Contains(text, `{{- if ne $kind "memory" }} - -migrate=check {{- end }}`) {
		t.Error("store.yaml sets -migrate=check under another condition")
	}
}
