package cluster

import (
	"testing"
	"time"
)

// A pod in a crash loop ends the wait, unless it is from before the upgrade, which has not replaced
// it yet.
func TestFatalOfEarlierPods(t *testing.T) {
	t.Parallel()
	crash := pod{Kind: "Pod", Metadata: Meta{Name: "store-0", UID: "1", Labels: map[string]string{componentLabel: "store"}}}
	c := container{Name: "store", RestartCount: 5}
	c.State.Waiting = &struct{ Reason, Message string }{Reason: "CrashLoopBackOff"}
	crash.Status.ContainerStatuses = []container{c}
	hook := pod{Kind: "Job", Metadata: Meta{UID: "2", Annotations: map[string]string{"helm.sh/hook": "pre-install,pre-upgrade"}}}
	ended := hook
	ended.Status.Conditions = []condition{{Type: "Complete", Status: "True"}}
	workload := func(kind string, generation, observed int64, replicas, updated int) pod {
		w := pod{Kind: kind, Metadata: Meta{UID: "3", Generation: generation, Labels: crash.Metadata.Labels}}
		w.Status.ObservedGeneration, w.Status.Replicas, w.Status.UpdatedReplicas = observed, replicas, updated
		return w
	}
	unchanged := workload("Deployment", 4, 4, 1, 1)
	for _, tt := range []struct {
		name    string
		isNew   bool
		elapsed time.Duration // since the upgrade began
		jobs    []pod
		now     pod // workload
		fatal   bool
	}{
		{"new", true, 0, nil, unchanged, true},
		{"just begun", false, time.Second, nil, unchanged, false},
		{"not changed", false, time.Minute, nil, unchanged, true},
		{"hook runs", false, time.Minute, []pod{hook}, unchanged, false},
		{"hook has ended", false, time.Minute, []pod{ended}, unchanged, true},
		{"new while a hook runs", true, time.Minute, []pod{hook}, unchanged, true},
		{"not observed", false, time.Minute, nil, workload("Deployment", 5, 4, 1, 1), false},
		{"new pod is not ready", false, time.Minute, nil, workload("Deployment", 5, 5, 2, 1), false},
		{"of the new specification", false, time.Minute, nil, workload("Deployment", 5, 5, 1, 1), true},
		{"StatefulSet replaces others first", false, time.Minute, nil, workload("StatefulSet", 5, 5, 2, 1), false},
		{"StatefulSet waits", false, time.Minute, nil, workload("StatefulSet", 5, 5, 2, 0), true},
	} {
		r := &Release{controllers: []pod{unchanged}}
		r.controllers[0].Kind = tt.now.Kind
		var before []pod
		if !tt.isNew {
			before = []pod{crash}
		}
		old := r.newEarlier(before, nil)
		old.since = time.Now().Add(-tt.elapsed)
		r.controllers = []pod{tt.now}
		old.observe(tt.jobs, time.Now())
		if got := r.fatal([]pod{crash}, tt.jobs, old) != nil; got != tt.fatal {
			t.Errorf("%s: fatal %t", tt.name, got)
		}
	}
	if (&Release{}).fatal([]pod{crash}, nil, nil) == nil {
		t.Error("after the upgrade: not fatal")
	}
}
