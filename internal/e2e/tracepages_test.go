package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"soundcheck/internal/criticalpath"
	"soundcheck/lab/plan"
	"soundcheck/loadgen/explain"
)

// found is a response of the console's trace search.
type found struct {
	Traces []struct{ ID string }
	Read   int
	Cut    bool
}

// shown is a trace as the console's page gets it.
type shown struct {
	Critical []struct {
		Span     string
		From, To int64
	}
}

// path is the time of each span on the critical path, in µs.
func (s shown) path() map[string]int64 {
	path := map[string]int64{}
	for _, p := range s.Critical {
		path[p.Span] += p.To - p.From
	}
	return path
}

// tracePages tests the console's traces with those of a load. What Jaeger filters is what the
// console would have, the critical path is that of loadgen's attribution, and files that are
// downloaded can be opened: by the console, and by Jaeger as its UI does.
func (l *lab) tracePages(t *testing.T) {
	l.setFaults(t, l.StoreAdmin(), "error=500@20%")
	start := time.Now()
	_, stderr, code := l.run(t, 10*time.Minute, "loadgen", "-rate", "20", "-duration", "10s", "-url", l.Proxy(), "-jaeger", l.Jaeger())
	end := time.Now()
	l.setFaults(t, l.StoreAdmin())
	if code != 0 && code != 1 && code != 4 { // 1: requests failed, as they should
		t.Fatalf("loadgen: exit code %d\n%s", code, stderr)
	}
	search := func(filter string) (r found, ids []string) {
		q := url.Values{"filter": {filter}, "limit": {"1500"}, "end": {fmt.Sprint(end.UnixMicro())}, "start": {fmt.Sprint(start.UnixMicro())}}
		getJSON(t, l.Console()+"/-/traces?"+q.Encode(), &r)
		for _, t := range r.Traces {
			ids = append(ids, t.ID)
		}
		slices.Sort(ids)
		return r, ids
	}
	for pushed, other := range map[string]string{
		"http.response.status_code = 200":                           "http.response.status_code =~ 200",
		"http.request.method = POST":                                "http.request.method =~ POST",
		"resource.service.namespace = soundcheck and kind = server": "service.namespace =~ soundcheck and kind = server",
		"name = COMMIT":     "name =~ COMMIT",
		"status = error":    "status != ok and status != unset",
		"service = loadgen": "service =~ loadgen",
	} {
		eventually(t, pushed, func() error {
			a, ids := search(pushed)
			b, want := search(other)
			if a.Cut || b.Cut || len(ids) == 0 || !slices.Equal(ids, want) {
				return fmt.Errorf("%d traces, want those of %s: %d", len(ids), other, len(want))
			}
			t.Logf("%s: %d of %d traces; %s: of %d", pushed, len(ids), a.Read, other, b.Read)
			return nil
		})
	}

	_, ids := search("service = loadgen and duration < 1h")
	if len(ids) < 100 {
		t.Fatalf("%d traces", len(ids))
	}
	_, failed := search("status = error")
	for _, id := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(ids[:20], failed[:min(len(failed), 20)])))) {
		var spans []criticalpath.Span
		var want map[string]int64
		eventually(t, "the critical path of "+id, func() error { // spans may arrive between the two
			traces, err := explain.Jaeger{URL: l.Jaeger(), Client: http.DefaultClient}.Traces(t.Context(), []string{id})
			if err != nil {
				return err
			}
			spans, want = traces[id], map[string]int64{}
			root, _ := criticalpath.Root(spans)
			for _, p := range criticalpath.Path(spans, root) {
				want[p.Span.ID] += p.To.Sub(p.From).Microseconds()
			}
			var page shown
			getJSON(t, l.Console()+"/-/traces/"+id, &page)
			if len(want) == 0 || !maps.Equal(page.path(), want) {
				return fmt.Errorf("the page has %v, loadgen %v", page.path(), want)
			}
			return nil
		})
		for _, file := range []string{"/-/traces/" + id + "/otlp", "/api/traces/" + id} {
			text := get(t, l.Console()+file)
			var opened struct{ Traces []shown }
			if status, body := post(t, l.Console()+"/-/traces", text); status != http.StatusOK || json.Unmarshal(body, &opened) != nil || len(opened.Traces) != 1 {
				t.Fatalf("open %s: %d %.300s", file, status, body)
			}
			if got := opened.Traces[0].path(); !maps.Equal(got, want) {
				t.Errorf("%s: the file has %v, want %v", file, got, want)
			}
		}
		// Jaeger's UI sends files of OTLP there.
		var read struct {
			Data []struct{ Spans []any }
		}
		if status, body := post(t, fmt.Sprintf("http://127.0.0.1:%d/api/transform", plan.JaegerAPIPort+l.Offset), get(t, l.Console()+"/-/traces/"+id+"/otlp")); status != http.StatusOK || json.Unmarshal(body, &read) != nil || len(read.Data) != 1 || len(read.Data[0].Spans) != len(spans) {
			t.Errorf("Jaeger reads the file: %d %.300s", status, body)
		}
	}
}

func get(t *testing.T, address string) []byte {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %.300s, %v", address, resp.Status, b, err)
	}
	return b
}

func post(t *testing.T, address string, body []byte) (int, []byte) {
	t.Helper()
	resp, err := http.Post(address, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b
}
