package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"soundcheck/lab/plan"
	"soundcheck/store/db/dbtest"
)

// The lab runs without an album store of its own: before there is one elsewhere, its proxy
// says so, and then all signals agree. There are two, which share a database.
func TestStoreElsewhere(t *testing.T) {
	l := newLab(t)
	l.build(t, "./store")
	for _, p := range l.Components() {
		if p.Name == plan.StoreName { // whose ports are free
			for _, port := range p.Ports {
				l.Stores = append(l.Stores, fmt.Sprintf("http://127.0.0.1:%d", port.Number))
			}
		}
	}
	l.up(t)
	if r := ask(t, http.MethodGet, l.Proxy()+"/albums/1", ""); r.status != http.StatusBadGateway || r.problem != "store-unavailable" {
		t.Errorf("without a store: %+v, want 502", r)
	}
	server, err := dbtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	db := server.New(t)
	logs := t.TempDir()
	log, err := os.Create(filepath.Join(logs, plan.StoreName+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for _, store := range l.Stores {
		cmd := exec.CommandContext(t.Context(), filepath.Join(l.bin, "store"), "-addr", strings.TrimPrefix(store, "http://"), "-db", db)
		cmd.Env = append(os.Environ(), "OTEL_EXPORTER_OTLP_ENDPOINT="+l.OTLP(), "OTEL_METRIC_EXPORT_INTERVAL=5000", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=elsewhere")
		cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, os.Stderr, dbtest.DieWithParent(nil)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Wait() })
		eventually(t, store, func() error {
			resp, err := http.Get(store + "/readyz")
			if err != nil {
				return err
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return errors.New(resp.Status)
			}
			return nil
		})
	}
	l.mustRun(t, 5*time.Minute, "lab", "smoke", "-url", l.Proxy())
	out := l.mustRun(t, 10*time.Minute, "lab", "verify", "-state", l.State, "-duration", "10s")
	if want := "logs: album-store.log        skipped  the album store is external, at " + strings.Join(l.Stores, ", "); !strings.Contains(out, want) || strings.Count(out, "skipped") != 1 {
		t.Errorf("lab verify does not say %q, or skips more:\n%s", want, out)
	}
	// The proxy's log and the Collector's records are where the lab has them.
	for _, name := range []string{"proxy-service.log", "otlp.jsonl"} {
		if err := os.Symlink(filepath.Join(l.Logs(), name), filepath.Join(logs, name)); err != nil {
			t.Fatal(err)
		}
	}
	out = l.mustRun(t, 10*time.Minute, "lab", "verify", "-state", l.State, "-duration", "10s", "-logs", logs)
	if strings.Contains(out, "skipped") || !strings.Contains(out, "logs: album-store.log        ok") {
		t.Errorf("lab verify with a log of the stores:\n%s", out)
	}
	t.Log("\n" + out)
	if _, stderr, code := l.run(t, 5*time.Minute, "lab", "restart", "-state", l.State, plan.StoreName); code != 1 || !strings.Contains(stderr, l.Stores[1]) {
		t.Errorf("restart of the store: exit code %d, %q; want 1, and where it is", code, stderr)
	}
}
