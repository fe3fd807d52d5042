package server

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"soundcheck/console/logs"
)

func TestLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	line := func(ago time.Duration, level, msg string) string {
		b, err := json.Marshal(map[string]string{"time": now.Add(-ago).Format(time.RFC3339Nano), "level": level, "msg": msg, "trace_id": "abc" + msg})
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "logs", "store.log"), []byte(line(time.Hour, "INFO", "old")+line(time.Minute, "WARN", "<b>new</b>")), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secret.log"), []byte("secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	h := console(t, Config{State: dir})
	for query, want := range map[string]string{
		"": "<b>new</b>,old", "level=warn": "<b>new</b>", "since=now-10m": "<b>new</b>", "until=now-10m": "old", "q=OLD": "old", "trace=abc": "<b>new</b>,old",
		"service=store&service=other": "<b>new</b>,old", "service=../secret": "", "limit=1": "<b>new</b>",
		"since=" + now.Add(-2*time.Hour).Format(time.RFC3339) + "&until=" + now.Add(-time.Minute*2).Format(time.RFC3339): "old",
	} {
		resp, body := do(t, h, http.MethodGet, "/-/logs?"+query, "")
		var p logs.Page
		if err := json.Unmarshal([]byte(body), &p); err != nil || resp.StatusCode != http.StatusOK || p.Services[0] != "store" {
			t.Errorf("%s = %d %s", query, resp.StatusCode, body)
		}
		var got []string
		for _, l := range p.Lines {
			got = append(got, l.Message)
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	for query, want := range map[string]string{
		"levl=warn": "levl is not one of", "level=loud": "level", "limit=0": "limit", "limit=2001": "limit", "limit=x": "limit", "since=yesterday": "since", "until=now-": "until",
		"since=now-999999w": "since", "trace=xyz": "trace", "after=!": "after or before", "before=e30x": "after or before", "q=" + strings.Repeat("x", 501): "q is longer",
		"level=warn&level=info": "level is given more than once", strings.Repeat("service=a&", 51): "service",
	} {
		resp, body := do(t, h, http.MethodGet, "/-/logs?"+query, "")
		var answer struct{ Error string }
		if err := json.Unmarshal([]byte(body), &answer); err != nil || resp.StatusCode != http.StatusBadRequest || !strings.HasPrefix(answer.Error, want) {
			t.Errorf("%.60s = %d %s, want 400 and %q", query, resp.StatusCode, body, want)
		}
	}
	resp, body := do(t, console(t, Config{}), http.MethodGet, "/-/logs", "")
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"lines":[],"services":[]`) {
		t.Errorf("no logs: %d %s", resp.StatusCode, body)
	}
}
