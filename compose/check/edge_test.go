package check

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

// Workers are not as many as the machine has processors: the container has limits, and
// each worker has an exporter of its own.
func TestWorkers(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../nginx/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^worker_processes (\d+);`).FindSubmatch(b)
	if m == nil {
		t.Fatal("nginx.conf names no number of workers")
	}
	workers, _ := strconv.Atoi(string(m[1]))
	limits := load(t, "full with edge").Services["nginx"].Deploy.Resources.Limits
	if float64(workers) > 2*float64(limits.NanoCPUs) {
		t.Errorf("%d workers share %v processors", workers, limits.NanoCPUs)
	}
}
