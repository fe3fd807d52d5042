package server

import (
	"net/http"
	"strings"
	"testing"
)

func TestTraces(t *testing.T) {
	t.Parallel()
	away := closed(t)
	h := console(t, Config{Jaeger: away})
	for _, tt := range []struct {
		path   string
		status int
		text   string
	}{
		{"/-/traces?service=a", 502, "Jaeger is down at " + away.String()},
		{"/-/map?since=now-5m", 502, "Jaeger is down at " + away.String()},
		{"/-/map", 400, "since is missing"},
		{"/-/map?since=now&until=now-5m", 400, "since is not before until"},
		{"/-/map?since=now-5m&length=3", 400, "length is not one of"},
	} {
		if resp, body := do(t, h, http.MethodGet, tt.path, ""); resp.StatusCode != tt.status || !strings.Contains(body, tt.text) {
			t.Errorf("%s = %d %s, want %d %s", tt.path, resp.StatusCode, body, tt.status, tt.text)
		}
	}
}
