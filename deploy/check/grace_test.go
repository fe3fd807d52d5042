package check

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// seconds returns the only submatch of a pattern in a text, a number of seconds.
func seconds(t *testing.T, text, pattern string) time.Duration {
	t.Helper()
	m := regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1)
	if len(m) != 1 {
		t.Fatalf("%d of %s, want one", len(m), pattern)
	}
	n, err := strconv.Atoi(m[0][1])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n) * time.Second
}

// The coordinator of a load test has enough time to stop its workers, and to end them.
func TestLoadGracePeriod(t *testing.T) {
	t.Parallel()
	read := func(file string) string {
		source, err := os.ReadFile("../../loadgen/cluster/" + file)
		if err != nil {
			t.Fatal(err)
		}
		return string(source)
	}
	ping := seconds(t, read("protocol.go"), `pingTimeout = (\d+) \* time\.Second`)
	for name, value := range map[string]string{"run.go": "stopTimeout    = pingTimeout", "coordinator.go": "closeTimeout = pingTimeout"} {
		if !strings.Contains(read(name), value) {
			t.Errorf("%s does not have %s", name, value)
		}
	}
	perWorker := seconds(t, read("run.go"), `perWorker      = (\d+) \* time\.Millisecond`) / 1000
	const others = 10 * time.Second // to ask Kubernetes for the reason of a lost worker, to merge and to print
	for _, workers := range []int{1, 49, 1000} {
		text := ""
		for _, d := range must(t, loadTest, merge(t, loadImage, fmt.Sprintf("workers: %d", workers))) {
			if strings.HasSuffix(d.file, "/coordinator.yaml") {
				text += d.text
			}
		}
		grace := seconds(t, text, `terminationGracePeriodSeconds: (\d+)\n`)
		if need := 2*ping + time.Duration(workers)*perWorker + others; need > grace {
			t.Errorf("%d workers: the coordinator needs %s, and its pod has %s", workers, need, grace)
		}
	}
}

// A pod has enough time to serve, drain and flush, and the chart says how much the services need.
func TestGracePeriod(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../internal/service/service.go")
	if err != nil {
		t.Fatal(err)
	}
	drain := seconds(t, string(source), `"drain-timeout", (\d+)\*time\.Second,`)
	flush := seconds(t, string(source), `"flush-timeout", (\d+)\*time\.Second,`)
	for _, name := range []string{"store", "proxy"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := ""
			for _, d := range must(t, lab, registry) {
				if strings.HasSuffix(d.file, "/"+name+".yaml") {
					text += d.text
				}
			}
			delay, grace := seconds(t, text, `- -drain-delay=(\d+)s\n`), seconds(t, text, `terminationGracePeriodSeconds: (\d+)\n`)
			need := delay + drain + flush
			if need >= grace {
				t.Errorf("-drain-delay %s, -drain-timeout %s and -flush-timeout %s need %s, and a pod has %s", delay, drain, flush, need, grace)
			}
			least := int(need.Seconds())
			_, err := render4(t, lab, merge(t, registry, fmt.Sprintf("%s: {terminationGracePeriodSeconds: %d}", name, least-1)))
			want := fmt.Sprintf("-drain-delay (%s), -drain-timeout (%s) and -flush-timeout (%s) need %d:", delay, drain, flush, least)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%d seconds: %v, want %s", least-1, err, want)
			}
			for _, values := range []string{
				fmt.Sprintf("{terminationGracePeriodSeconds: %d}", least),
				"{terminationGracePeriodSeconds: 10, args: [-drain-timeout=2s]}",
				"{terminationGracePeriodSeconds: 10, args: [--flush-timeout=1s]}",
				"{terminationGracePeriodSeconds: 10, args: [-max-body, '2048', -drain-delay, 1s]}",
				"{terminationGracePeriodSeconds: 10, args: [--drain-timeout, 2s]}",
				fmt.Sprintf("{terminationGracePeriodSeconds: 10, env: {SOUNDCHECK_%s_DRAIN_TIMEOUT: 2s}}", strings.ToUpper(name)),
				"{terminationGracePeriodSeconds: 10, enabled: false}",
			} {
				if name == "store" && strings.Contains(values, "enabled") {
					values += "\nexternalStore: {url: 'http://a.example:9080'}"
				}
				if _, err := render4(t, lab, merge(t, registry, name+": "+values)); err != nil {
					t.Errorf("%s: %v", values, err)
				}
			}
		})
	}
}
