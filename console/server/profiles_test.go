package server

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// A span's moment leads to the profiles of its process, with the samples of its route and its trace.
func TestProfiles(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	dir := filepath.Join(state, "runs", older)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	fn := &profile.Function{ID: 1, Name: "shop.handle"}
	at := &profile.Location{ID: 1, Line: []profile.Line{{Function: fn}}}
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}}, Function: []*profile.Function{fn}, Location: []*profile.Location{at},
		Sample: []*profile.Sample{{Location: []*profile.Location{at}, Value: []int64{3}}, {Location: []*profile.Location{at}, Value: []int64{2}, Label: map[string][]string{"route": {"GET /a"}, "trace_id": {"ab"}}}}}
	file, err := os.Create(filepath.Join(dir, "cpu-shop-20260504T100000.000Z-10s.pb.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(file); err != nil {
		t.Fatal(err)
	}
	file.Close()
	h := console(t, Config{State: state})
	const path = "/-/profiles?service=shop&trace=ab&route=GET+/a"
	for query, want := range map[string]struct {
		code int
		text string
	}{
		path + "&from=2026-05-04T10:00:03Z&to=2026-05-04T10:00:04Z":                   {200, `"samples":{"all":5,"trace":2,"route":2}`},
		path + "&from=2026-05-04T10:00:11Z&to=2026-05-04T10:00:12Z":                   {200, `{"profiles":[]}`},
		"/-/profiles?service=other&from=2026-05-04T10:00:03Z&to=2026-05-04T10:00:04Z": {200, `{"profiles":[]}`},
		path:                             {400, "are required"},
		path + "&from=x&to=y":            {400, "from"},
		path + "&unknown=1":              {400, "unknown is not one of"},
		"/-/runs/" + older + "/profiles": {200, `"service":"shop","start":"2026-05-04T10:00:00Z","seconds":10`},
		"/-/runs/" + newer + "/profiles": {200, `{"profiles":[]}`},
		"/-/runs/.../profiles":           {400, "invalid run ID"},
		"/-/runs/" + older + "/progress": {404, "has no progress"},
	} {
		if resp, body := do(t, h, http.MethodGet, query, ""); resp.StatusCode != want.code || !strings.Contains(body, want.text) {
			t.Errorf("%s = %d %s, want %d, %s", query, resp.StatusCode, body, want.code, want.text)
		}
	}
	resp, body := do(t, h, http.MethodGet, "/-/pprof/"+older+"/cpu-shop-20260504T100000.000Z-10s.pb.gz/", "")
	if at := resp.Header.Get("Location"); resp.StatusCode != 302 || at != "flamegraph" {
		t.Errorf("a profile without a page: %d, %s, %s", resp.StatusCode, at, body)
	}
	resp, body = do(t, h, http.MethodGet, "/-/pprof/"+older+"/cpu-shop-20260504T100000.000Z-10s.pb.gz/flamegraph", "")
	policies := resp.Header.Values("Content-Security-Policy")
	if resp.StatusCode != 200 || !strings.Contains(body, "shop.handle") || len(policies) != 1 || !strings.HasPrefix(policies[0], "sandbox ") || strings.Contains(policies[0], "allow-same-origin") || !strings.Contains(policies[0], "default-src 'none'") {
		t.Errorf("the flame graph: %d, policy %q", resp.StatusCode, policies)
	}
}
