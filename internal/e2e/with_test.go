package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"soundcheck/dashboards"
	"soundcheck/lab/supervisor"
)

// TestWith runs docs/checkout.py, which is neither the lab's nor in Go, beside the lab, loads it with the
// command that lab up prints, and finds its requests in traces, metrics and logs.
func TestWith(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3 (tools/needs.sh installs it): this runs docs/checkout.py")
	}
	l := newLab(t)
	l.Stores = []string{"http://127.0.0.1:1"} // the albums are not needed
	port := l.Offset + 8000
	for ; !free(port); port++ {
	}
	address := fmt.Sprintf("http://127.0.0.1:%d", port)
	with := []string{"up", "-state", l.State, "-port-offset", fmt.Sprint(l.Offset), "-store", l.Stores[0],
		"-with", fmt.Sprintf("checkout=python3 docs/checkout.py %d", port), "-with-url", address}
	t.Cleanup(func() { l.runContext(context.Background(), t, "lab", "down", "-state", l.State) })
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("checkout:\n%s", supervisor.Tail(filepath.Join(l.Logs(), "checkout.log"), 10))
		}
	})
	out := l.mustRun(t, 30*time.Minute, "lab", with...)
	checkout := func() supervisor.ComponentStatus {
		list := l.status(t).Components
		return list[slices.IndexFunc(list, func(c supervisor.ComponentStatus) bool { return c.Name == "checkout" })]
	}
	first := checkout()
	if first.State != supervisor.Ready || first.Address != address || first.From != supervisor.FromCommand {
		t.Fatalf("%+v", first)
	}
	if _, stderr, code := l.run(t, 5*time.Minute, "lab", "up", "-state", l.State, "-port-offset", fmt.Sprint(l.Offset), "-store", l.Stores[0]); code != 1 || !strings.Contains(stderr, "other programs of -with") {
		t.Errorf("lab up without it: exit code %d, %s", code, stderr)
	}

	printed := regexp.MustCompile(`go run \./loadgen (.* ` + regexp.QuoteMeta(address) + `)\n`).FindStringSubmatch(out)
	if printed == nil {
		t.Fatalf("no command that loads %s:\n%s", address, out)
	}
	const n = 100
	report, stderr, code := l.run(t, 5*time.Minute, "loadgen", append([]string{"-n", fmt.Sprint(n)}, strings.Fields(printed[1])...)...)
	if code == 2 || code == 3 || !strings.Contains(report, fmt.Sprintf("requests      %d", n)) {
		t.Fatalf("loadgen: exit code %d\n%s%s", code, report, stderr)
	}
	found := regexp.MustCompile(`/trace/([0-9a-f]{32})`).FindStringSubmatch(report)
	if found == nil {
		t.Fatalf("no trace in the report:\n%s", report)
	}
	l.checkoutTrace(t, found[1])
	// The lab's probe is the first request.
	l.wantValue(t, `sum(histogram_count(increase(http_server_request_duration_seconds{service_name="checkout"}[10m] anchored)))`, n+1)
	l.checkoutPanels(t)
	l.checkoutLogs(t, found[1])

	if err := syscall.Kill(-first.Process.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "checkout is back", func() error {
		if c := checkout(); c.State != supervisor.Ready || c.Restarts != 1 || c.Process == first.Process {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	if out := l.mustRun(t, 5*time.Minute, "lab", "restart", "-state", l.State, "checkout"); !strings.Contains(out, "checkout ready after") {
		t.Error(out)
	}
	before := l.status(t)
	l.mustRun(t, 10*time.Minute, "lab", "up", "-again", "-state", l.State)
	if now := l.status(t); now.Supervisor == before.Supervisor || now.PortOffset != before.PortOffset || !slices.Equal(now.Stores, before.Stores) || !slices.Equal(now.UserServices, before.UserServices) {
		t.Errorf("lab up -again:\n%+v\nbefore\n%+v", now, before)
	}
	last := checkout().Process
	l.mustRun(t, 5*time.Minute, "lab", "down", "-state", l.State)
	if last.Alive() || !free(port) {
		t.Error("checkout still runs")
	}
	if out := l.mustRun(t, 5*time.Minute, "lab", "logs", "-state", l.State, "-n", "1", "checkout"); out == "" {
		t.Error("its log is gone with the lab")
	}

	with[len(with)-3] = "checkout=echo no such order; exit 3"
	_, stderr, code = l.run(t, 5*time.Minute, "lab", with...)
	for _, want := range []string{"start checkout: it exited before it was ready (exit status 3)", "no such order", "fix it or -with", l.Root} {
		if code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("exit code %d, want 1 and %q:\n%s", code, want, stderr)
		}
	}
	if running, err := supervisor.Running(l.State); running || err != nil {
		t.Errorf("the lab runs: %t, %v", running, err)
	}
}

func free(port int) bool {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

// checkoutTrace checks that the spans of checkout are below that of loadgen.
func (l *lab) checkoutTrace(t *testing.T, trace string) {
	t.Helper()
	eventually(t, "the spans of a request", func() error {
		resp, err := http.Get(l.Jaeger() + "/api/traces/" + trace)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var found struct {
			Data []struct {
				Spans []struct {
					SpanID, ProcessID, OperationName string
					References                       []struct{ SpanID string }
				}
				Processes map[string]struct{ ServiceName string }
			}
		}
		if err := json.NewDecoder(resp.Body).Decode(&found); err != nil || len(found.Data) != 1 {
			return fmt.Errorf("%s, %v", resp.Status, err)
		}
		names, parents := map[string]string{}, map[string]string{}
		for _, s := range found.Data[0].Spans {
			name := found.Data[0].Processes[s.ProcessID].ServiceName + " " + s.OperationName
			names[s.SpanID] = name
			for _, r := range s.References {
				parents[name] = r.SpanID
			}
		}
		charge, server := names[parents["checkout charge card"]], names[parents["checkout GET /"]]
		if charge != "checkout GET /" || !strings.HasPrefix(server, "loadgen ") {
			return fmt.Errorf("spans %v, parents %v", names, parents)
		}
		return nil
	})
}

// optional are panels of metrics that a service need not have.
var optional = []string{"Response throughput", "Response size"}

// checkoutPanels checks that the panels of the dashboard Service latency show the service, and the heat
// map both it and a service with exponential histograms.
func (l *lab) checkoutPanels(t *testing.T) {
	t.Helper()
	all, err := dashboards.All()
	if err != nil {
		t.Fatal(err)
	}
	newForeign(l, "exponential").sendMetrics(t, exponential("http.server.request.duration", time.Now(), 3))
	i := slices.IndexFunc(all, func(d dashboards.Dashboard) bool { return d.UID == "service-latency" })
	for _, p := range all[i].Panels {
		for _, target := range p.Targets {
			if slices.Contains(optional, p.Title) {
				continue
			}
			one := dashboards.Interpolate(target.Expr, map[string][]string{"service": {"checkout"}}, 10*time.Minute, 15*time.Second)
			eventually(t, p.Title, func() error { return l.shows(t, one, 1) })
			if p.Type == "heatmap" {
				both := dashboards.Interpolate(target.Expr, map[string][]string{"service": {"checkout", "exponential"}}, 10*time.Minute, 15*time.Second)
				eventually(t, p.Title+" of both kinds", func() error { return l.shows(t, both, 2) })
			}
		}
	}
}

// shows returns an error if a query has fewer series with values in the last minutes.
func (l *lab) shows(t *testing.T, query string, series int) error {
	t.Helper()
	var found struct {
		Data struct {
			Result []struct {
				Metric             map[string]string
				Values, Histograms [][2]any
			}
		}
	}
	now := time.Now().Unix()
	getJSON(t, fmt.Sprintf("%s/api/v1/query_range?query=%s&start=%d&end=%d&step=5", l.Prometheus(), url.QueryEscape(query), now-120, now), &found)
	shown := 0
	for _, r := range found.Data.Result {
		if len(r.Histograms) > 0 || slices.ContainsFunc(r.Values, func(v [2]any) bool { return v[1] != "NaN" }) {
			shown++
		}
	}
	if shown < series {
		return fmt.Errorf("%d series, want %d: %s", shown, series, query)
	}
	return nil
}

// checkoutLogs looks for the log of a request in both places.
func (l *lab) checkoutLogs(t *testing.T, trace string) {
	t.Helper()
	eventually(t, "the log record", func() error {
		file, err := os.ReadFile(filepath.Join(l.Logs(), "otlp.jsonl"))
		if err == nil && !slices.ContainsFunc(strings.Split(string(file), "\n"), func(line string) bool {
			return strings.Contains(line, trace) && strings.Contains(line, `"checkout"`)
		}) {
			err = fmt.Errorf("trace %s is not in otlp.jsonl", trace)
		}
		return err
	})
	if out := l.mustRun(t, 5*time.Minute, "lab", "logs", "-state", l.State, "-n", "1000", "checkout"); !strings.Contains(out, trace) {
		t.Errorf("lab logs checkout has no %s", trace)
	}
}

// docs/checkout.py speaks OTLP over HTTP only: with another protocol it says so and ends.
func TestCheckoutProtocol(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 (tools/needs.sh installs it): this runs docs/checkout.py")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "../../docs/checkout.py", "0")
	cmd.Env = append(os.Environ(), "OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: checkout.py sends OTLP over HTTP as JSON only; unset it") {
		t.Errorf("%v, printed %q", err, out)
	}
}
