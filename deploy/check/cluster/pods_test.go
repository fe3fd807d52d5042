package cluster

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"testing"
)

// One pod of each component is deleted under load. Requests fail only where there is no second pod, and the
// telemetry of all requests is complete afterwards.
func TestDeletePods(t *testing.T) {
	r := newRelease(t, "pods", replicated...)
	r.do("install")
	l := r.start()
	for _, component := range []string{"album-store", "proxy-service", "otel-collector", "jaeger", "prometheus"} {
		r.replace(component)
		l.more(writes)
	}
	l.clean()
	all := l.traces
	served, unsure := l.served, l.unsure

	// The stores wait for the database; what they acknowledged is there.
	l = r.start()
	r.replace("postgres")
	res := l.stop()
	t.Logf("PostgreSQL was replaced: %d of %d requests failed: %s", res.failed, res.sent, res.errors)
	if res.failed == res.sent {
		t.Error("no request succeeded")
	}
	for trace, id := range l.traces {
		all[trace] = id
	}
	r.traces(all)
	r.counted(served+l.served, unsure+l.unsure)
}

// replace deletes a pod of a component, and waits until all are ready.
func (r *release) replace(component string) {
	r.Helper()
	old := r.pods(component)
	if len(old) == 0 {
		r.Fatalf("no pod of %s runs", component)
	}
	uid := func() string {
		return r.kubectl("get", "pod", old[0], "--ignore-not-found", "-o", "jsonpath={.metadata.uid}")
	}
	before := uid()
	r.kubectl("delete", "pod", old[0], "--wait=false")
	r.await(component+" to be replaced", func() bool { return uid() != before && len(r.pods(component)) == len(old) })
	r.kubectl("wait", "--for=condition=Ready", "pod", "-l", "app.kubernetes.io/component="+component, "--timeout="+ready)
	r.Logf("%s was replaced", old[0])
}

// get decodes a response.
func get(url string, into any) (int, error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, json.NewDecoder(resp.Body).Decode(into)
}

// traces checks that Jaeger has each trace, with spans of proxy and store.
func (r *release) traces(traces map[string]int64) {
	r.Helper()
	base := "http://" + r.address("jaeger", "http") + "/api/traces/"
	missing := ""
	check := func(trace string) bool {
		var found struct {
			Data []struct {
				Processes map[string]struct{ ServiceName string }
			}
		}
		status, err := get(base+trace, &found)
		var services []string
		for _, d := range found.Data {
			for _, p := range d.Processes {
				services = append(services, p.ServiceName)
			}
		}
		missing = fmt.Sprintf("trace %s of album %d: status %d, %v, services %s", trace, traces[trace], status, err, services)
		return slices.Contains(services, "proxy-service") && slices.Contains(services, "album-store")
	}
	lost := 0
	for trace := range traces {
		// All are sent after one has been waited for.
		if lost == 0 {
			r.await("all traces", func() bool { return check(trace) })
		} else if !check(trace) {
			lost++
			r.Error(missing)
		}
	}
	r.Logf("%d traces are complete in Jaeger", len(traces)-lost)
}

// counted waits until Prometheus has counted the requests that the proxy served. Of some it is unsure
// whether it has.
func (r *release) counted(served, unsure int) {
	r.Helper()
	served, unsure = served+r.asked, unsure+r.askedUnsure
	base := "http://" + r.address("prometheus", "http") + "/api/v1/query?query="
	query := `sum(histogram_count(last_over_time(http_server_request_duration_seconds{service_name="proxy-service"}[2h])))`
	got := 0
	defer func() { r.Logf("Prometheus has %d requests, served are %d, or %d more", got, served, unsure) }()
	r.await("Prometheus to have all requests", func() bool {
		var found struct {
			Data struct{ Result []struct{ Value [2]any } }
		}
		if _, err := get(base+url.QueryEscape(query), &found); err != nil || len(found.Data.Result) == 0 {
			return false
		}
		text, _ := found.Data.Result[0].Value[1].(string)
		got, _ = strconv.Atoi(text)
		return served <= got && got <= served+unsure
	})
}
