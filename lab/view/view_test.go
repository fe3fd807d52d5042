package view

import (
	"bytes"
	"strings"
	"testing"

	"soundcheck/lab/supervisor"
)

// lab up reports once what it takes, and what it does not take.
func TestViewPrograms(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	v := New(&out)
	st := supervisor.Status{Components: []supervisor.ComponentStatus{
		{Name: "jaeger", State: supervisor.Ready, Version: "2.17.0", From: "PATH", Path: "/usr/local/bin/jaeger", Address: "http://h:1"},
		{Name: "prometheus", State: supervisor.Waiting, Reason: "/p/prometheus on PATH does not fit: version 2.1.0"},
	}}
	for range 2 {
		v.Update(st)
	}
	for _, want := range []string{"jaeger          uses     /usr/local/bin/jaeger, version 2.17.0 (PATH)\n", "prometheus      /p/prometheus on PATH does not fit: version 2.1.0\n"} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("%d times %q in\n%s", strings.Count(out.String(), want), want, out.String())
		}
	}
	for size, want := range map[int64]string{50 << 20: "downloading jaeger 2.17.0: 12 of 50 MiB", 0: "downloading jaeger 2.17.0: 12 MiB"} {
		if got := downloading(supervisor.ComponentStatus{Name: "jaeger", Version: "2.17.0", Received: 12 << 20, Size: size}); got != want {
			t.Errorf("downloading = %q, want %q", got, want)
		}
	}
}

// The estimate is shown while it is known.
func TestViewLeft(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	v := New(&out)
	st := supervisor.Status{Components: []supervisor.ComponentStatus{{Name: "jaeger", State: supervisor.Building, Done: 3, Total: 500}}}
	if got := v.work(st); !strings.HasPrefix(got, "building jaeger: 3 of 500 packages") {
		t.Errorf("without an estimate: %q", got)
	}
	st.BuildsLeft = 134
	if got := v.work(st); !strings.HasPrefix(got, "about 3 min left; building jaeger: ") {
		t.Errorf("with an estimate: %q", got)
	}
}
