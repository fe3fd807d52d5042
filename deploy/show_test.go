package main

import (
	"fmt"
	"strings"
	"testing"
)

// Status shows the chart's own workloads, of which one is left over from a failed upgrade. The command
// that deletes it selects no resources of other charts of the release.
func TestStatus(t *testing.T) {
	item := func(component string) string {
		return fmt.Sprintf(`{"metadata":{"name":"soundcheck-%s","labels":{"app.kubernetes.io/component":"%[1]s"}},"spec":{"replicas":1},"status":{"readyReplicas":1}}`, component)
	}
	stub(t, map[string]string{
		"release.error": "",
		"release":       `{"version":3,"info":{"status":"deployed"}}`,
		"manifest":      works["template"],
		"workloads":     `{"items":[` + item("jaeger") + `,` + item("loki") + `]}`,
		"services":      `{"items":[{"metadata":{"name":"soundcheck-jaeger","labels":{"app.kubernetes.io/component":"jaeger"}},"spec":{"ports":[{"port":16696}]}}]}`,
	})
	stdout, stderr, code := deploy(t.Context(), "status")
	want := `NAME    READY  RESTARTS  STATE                            ADDRESS
jaeger  1/1    0         ready                            soundcheck-jaeger.soundcheck:16696
loki    1/1    0         left over from a failed upgrade  -

release soundcheck, revision 3, deployed, in namespace soundcheck of context lab
loki is no longer in the release: kubectl --context lab -n soundcheck delete all,configmap -l app.kubernetes.io/instance=soundcheck,app.kubernetes.io/part-of=soundcheck,app.kubernetes.io/component=loki
`
	if code != 0 || !strings.HasPrefix(stdout, want) {
		t.Errorf("exit code %d, %s%s\nwant %s", code, stdout, stderr, want)
	}
}
