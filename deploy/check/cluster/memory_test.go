package cluster

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// The idle memory of the whole release, of which the goal is 450 MB without Grafana and Loki.
func TestIdleMemory(t *testing.T) {
	r := newRelease(t, "idle", "database.kind=postgres")
	r.do("install")
	for range 20 {
		if _, _, err := create("http://"+r.address("proxy-service", "http"), "Idle"); err != nil {
			t.Fatal(err)
		}
	}
	var total uint64
	previous := uint64(1 << 62)
	// Until it does not fall any more: the memory of starts is freed.
	r.await("the memory to settle", func() bool {
		usage := r.memory()
		total = 0
		for _, bytes := range usage {
			total += bytes
		}
		settled := len(usage) > 5 && total >= previous
		if len(usage) > 5 {
			previous = total
		}
		return settled
	})
	usage := r.memory()
	names := make([]string, 0, len(usage))
	for name := range usage {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.Logf("%-60s %4d MB", name, usage[name]/1e6)
	}
	t.Logf("total %d MB, goal 450 MB", total/1e6)
}

// memory is the working set of each container, by the kubelet's summary.
func (r *release) memory() map[string]uint64 {
	r.Helper()
	usage := map[string]uint64{}
	for _, node := range strings.Fields(r.must("kubectl", "get", "nodes", "-o", "jsonpath={.items[*].metadata.name}")) {
		var summary struct {
			Pods []struct {
				PodRef     struct{ Name, Namespace string }
				Containers []struct {
					Name   string
					Memory struct{ WorkingSetBytes, RSSBytes uint64 }
				}
			}
		}
		if err := json.Unmarshal([]byte(r.must("kubectl", "get", "--raw", "/api/v1/nodes/"+node+"/proxy/stats/summary")), &summary); err != nil {
			r.Fatal(err)
		}
		for _, pod := range summary.Pods {
			for _, c := range pod.Containers {
				if pod.PodRef.Namespace == r.namespace && c.Memory.WorkingSetBytes > 0 {
					usage[pod.PodRef.Name+"/"+c.Name] = c.Memory.WorkingSetBytes
				}
			}
		}
	}
	return usage
}
