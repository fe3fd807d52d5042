package cluster

import (
	"strings"
	"time"
)

// graceOld is how long a pod from before the upgrade may be broken, until its workload changes: the
// upgrade may be the repair.
const graceOld = 20 * time.Second

// earlier is what was there before an upgrade.
type earlier struct {
	uids        map[string]bool  // of pods and Jobs
	generations map[string]int64 // of Deployments and StatefulSets, by UID
	since       time.Time        // when the upgrade began, or its last hook ended: then helm changes workloads
}

func (r *Release) newEarlier(pods, jobs []pod) *earlier {
	e := &earlier{map[string]bool{}, map[string]int64{}, time.Now()}
	for _, list := range [][]pod{pods, jobs} {
		for _, p := range list {
			e.uids[p.Metadata.UID] = true
		}
	}
	for _, w := range r.controllers {
		e.generations[w.Metadata.UID] = w.Metadata.Generation
	}
	return e
}

// observe notes that a Job of a hook runs: until it ends, helm changes nothing else.
func (e *earlier) observe(jobs []pod, now time.Time) {
	if e == nil {
		return
	}
	for _, j := range jobs {
		hook := strings.Contains(j.Metadata.Annotations["helm.sh/hook"], "pre-")
		if hook && j.condition("Complete").Status != "True" && j.condition("Failed").Status != "True" {
			e.since = now
		}
	}
}

// excuses reports whether a broken pod or Job is from before the upgrade, which may still replace it.
func (e *earlier) excuses(p pod, controllers []pod, now time.Time) bool {
	if e == nil || !e.uids[p.Metadata.UID] {
		return false
	}
	if now.Sub(e.since) < graceOld {
		return true
	}
	for _, w := range controllers {
		if w.component() == p.component() && e.replaces(w) {
			return true
		}
	}
	return false
}

// replaces reports whether a workload has a new specification, and still pods of the one before. A
// StatefulSet must have replaced one: it may wait for a broken pod for ever.
func (e *earlier) replaces(w pod) bool {
	generation, ok := e.generations[w.Metadata.UID]
	s := w.Status
	return ok && w.Metadata.Generation != generation &&
		(s.ObservedGeneration < w.Metadata.Generation || s.UpdatedReplicas < s.Replicas && (w.Kind == "Deployment" || s.UpdatedReplicas > 0))
}
