package kube

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// labels are those of a pod of a component of release x, of a chart with a nameOverride.
func labels(component string) string {
	return `"labels":{"app.kubernetes.io/name":"renamed","app.kubernetes.io/part-of":"soundcheck","app.kubernetes.io/instance":"x","app.kubernetes.io/component":"` + component + `"}`
}

// pod is a pod of kubectl get pods, whose container proxy-service has this status.
func pod(name, status string) string {
	return `{"metadata":{"name":"` + name + `",` + labels("proxy-service") + `},"status":{"containerStatuses":[{"name":"sidecar","state":{"running":{}}},{"name":"proxy-service",` + status + `}]}}`
}

func pods(list ...string) string { return `{"items":[` + strings.Join(list, ",") + `]}` }

const (
	runs    = `"state":{"running":{"startedAt":"2026-01-31T12:00:00Z"}},"lastState":{}`
	waits   = `"state":{"waiting":{"reason":"ContainerCreating"}},"lastState":{}`
	crashed = `"state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"finishedAt":"2026-01-31T12:00:00Z"}}`
	again   = `"state":{"running":{}},"lastState":{"terminated":{"finishedAt":"2026-01-31T12:00:00Z"}}`
	ended   = `"state":{"terminated":{"finishedAt":"2026-01-31T12:00:00Z"}},"lastState":{}`
)

// The logs are those of all pods of a component, also of those that were restarted or deleted.
func TestLogs(t *testing.T) {
	t.Parallel()
	before, after := time.Date(2026, 1, 31, 11, 59, 59, 0, time.UTC), time.Date(2026, 1, 31, 12, 0, 1, 0, time.UTC)
	for name, tt := range map[string]struct {
		pods, follow string
		since        time.Time
		want         string // or the error
	}{
		"none":                     {pods(), "", before, ""},
		"two":                      {pods(pod("p1", runs), pod("p2", runs)), "", before, "one,two"},
		"starting":                 {pods(pod("p1", runs), pod("p2", waits)), "", before, "one"},
		"ended":                    {pods(pod("p1", ended)), "", before, "one"},
		"restarted":                {pods(pod("p1", again)), "", before, "one,previous"},
		"restarted long ago":       {pods(pod("p1", again)), "", after, "one"},
		"crashed":                  {pods(pod("p1", crashed)), "", before, "previous"},
		"replaced":                 {pods(pod("p2", runs)), "[pod/p1/proxy-service] a\n[pod/p2/proxy-service] two\n[pod/p1/proxy-service] b\nerror: gone\n", before, "a\nb,two"},
		"rotated":                  {pods(pod("p1", runs)), "[pod/p1/proxy-service] zero\n[pod/p1/proxy-service] one\n", before, "one,zero"},
		"restarted twice":          {pods(pod("p1", again)), "[pod/p1/proxy-service] first\n[pod/p1/proxy-service] previous\n", before, "first,one,previous"},
		"written twice":            {pods(pod("p1", runs)), "[pod/p1/proxy-service] one\n[pod/p1/proxy-service] one\n", before, "one,one"},
		"same line in two pods":    {pods(pod("p2", runs)), "[pod/p1/proxy-service] two\n", before, "two,two"},
		"deleted while it is read": {pods(pod("p0", again)), "[pod/p0/proxy-service] a\n[pod/p0/proxy-service] previous\n", before, "a,previous"},
		"deleted meanwhile":        {pods(pod("p0", runs), pod("p2", runs)), "[pod/p0/proxy-service] a\n", before, "a,two"},
		"forbidden":                {pods(pod("p3", runs)), "", before, "no permission (kubectl logs p3): "},
		"the list fails":           {"error: disk full", "", before, "kubectl get pods: exit status 1: disk full"},
		"a line that is too short": {pods(pod("p2", runs)), "[pod/\n[pod/p1] x\nx\n[pod/p1/c] half", before, "two"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			r := f.release()
			f.write("get pods a", tt.pods)
			for name, text := range map[string]string{"p1": "one\n", "p2": "two\n", "previous": "previous\n", "follow": tt.follow,
				"p0": `Error from server (NotFound): pods "p0" not found`, "p3": `Error from server (Forbidden): pods "p3" is forbidden: User "me" cannot get resource "pods/log"`} {
				f.write("logs "+name, text)
			}
			if tt.follow != "" {
				r.Follow(t.Context(), "proxy-service")
				if err := eventually("it follows", func() bool { return f.followed(r, tt.follow) }); err != nil {
					t.Fatal(err)
				}
			}
			parts, err := r.Logs(t.Context(), tt.since, "proxy-service")
			var texts []string
			for _, b := range parts {
				texts = append(texts, strings.TrimSpace(string(b)))
			}
			slices.Sort(texts)
			got := strings.Join(texts, ",")
			if err != nil {
				got = err.Error()
			}
			if got != tt.want && !(err != nil && strings.HasPrefix(got, tt.want) && tt.want != "") {
				t.Errorf("got  %q\nwant %q\ncalls:\n%s", got, tt.want, f.read("calls"))
			}
			for line := range strings.Lines(f.read("calls")) {
				if strings.Contains(line, " logs ") && (!strings.Contains(line, " --namespace a --container proxy-service --since-time 20") || !strings.Contains(line, " --tail -1")) {
					t.Errorf("call %s", line)
				}
			}
			r.Close()
			f.allEnded()
		})
	}
}

// followed reports whether all lines of pods have been read: the last one's, or that of p1.
func (f fake) followed(r *Release, text string) bool {
	fl := r.followers["proxy-service"]
	fl.mu.Lock()
	defer fl.mu.Unlock()
	want := 0
	for line := range strings.Lines(text) {
		if _, rest, ok := strings.Cut(line, "/proxy-service] "); ok {
			want += len(rest)
		}
	}
	return fl.size >= want && strings.Contains(f.read("calls"), "--follow")
}

// A log that is not followed to the end is reported: kubectl failed, or the log is too long. It is no
// failure when all containers end, or the release is closed.
func TestFollowReports(t *testing.T) {
	t.Parallel()
	line := "[pod/p1/proxy-service] " + strings.Repeat("x", 1<<20-1) + "\n" // 1 MiB
	for name, tt := range map[string]struct {
		follow string
		ends   bool
		want   string
	}{
		"fails":    {`Error from server (Forbidden): pods is forbidden: User "me" cannot list resource "pods"`, true, "the log of proxy-service is not followed any more, and lines of deleted pods and rotated files may be missing: no permission (kubectl logs): Error"},
		"ends":     {"[pod/p1/proxy-service] a\n", true, ""},
		"closed":   {line, false, ""},
		"too long": {line + line + line, false, "the log of proxy-service has more than 1 MiB: later lines"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			r := f.release()
			logged := make(chan string, 10)
			r.Log = func(s string) { logged <- s }
			f.write("logs follow", tt.follow)
			if tt.ends {
				f.write("follow ends", "")
			}
			r.follow(t.Context(), "proxy-service", 1<<20)
			if !tt.ends {
				if err := eventually("it is followed", func() bool { return f.followed(r, line) && (tt.want == "" || len(logged) > 0) }); err != nil {
					t.Error(err)
				}
				r.Close()
			}
			r.running.Wait()
			close(logged)
			var got []string
			for s := range logged {
				got = append(got, s)
			}
			if text := strings.Join(got, ","); !strings.HasPrefix(text, tt.want) || len(got) > 1 || (tt.want == "") != (text == "") {
				t.Errorf("reported %q, want %q", got, tt.want)
			}
			f.allEnded()
		})
	}
}

func TestEnv(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	r := f.release()
	f.write("get pods a", pods(`{"metadata":{`+labels("album-store")+`},"spec":{"containers":[{"name":"sidecar","env":[{"name":"DB","value":"other"}]},
		{"name":"album-store","env":[{"name":"DB","value":"memory"},{"name":"SECRET","valueFrom":{"secretKeyRef":{"name":"x"}}}]}]}}`))
	for name, want := range map[string]string{"DB": "memory", "SECRET": "", "NONE": ""} {
		if got, err := r.Env(t.Context(), "album-store", name); got != want || err != nil {
			t.Errorf("%s is %q, %v, want %q", name, got, err, want)
		}
	}
	f.write("get pods a", "error: disk full")
	if _, err := r.Env(t.Context(), "album-store", "DB"); err == nil {
		t.Error("no error")
	}
}

// Commands run in the Collector's container of each pod whose container runs.
func TestExec(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	r := f.release()
	f.write("get pods a", strings.ReplaceAll(pods(pod("c-0", runs), pod("c-1", waits)), "proxy-service", Collector))
	names, err := r.Pods(t.Context(), Collector)
	if err != nil || !slices.Equal(names, []string{"c-0"}) {
		t.Errorf("%q, %v, want c-0", names, err)
	}
	out, err := r.Exec(t.Context(), "c-0", "/tools/labtool", "ls", "/logs")
	if want := "exec c-0 --namespace a --container otel-collector -- /tools/labtool ls /logs\n"; string(out) != want || err != nil {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
	for stderr, want := range map[string]string{
		"":                     "kubectl exec c-0: exit status 1: command terminated with exit code 1",
		"warning\ndisk full\n": "kubectl exec c-0: exit status 1: disk full",
		"ls: access forbidden: connection refused\n": "kubectl exec c-0: exit status 1: ls: access forbidden: connection refused", // not the cluster's
	} {
		f.write("exec", stderr)
		if _, err := r.Exec(t.Context(), "c-0", "/tools/labtool", "ls", "/logs"); err == nil || err.Error() != want {
			t.Errorf("the command writes %q: %v, want %s", stderr, err, want)
		}
	}
	const selector = " get pods --selector app.kubernetes.io/part-of=soundcheck,app.kubernetes.io/instance=x,app.kubernetes.io/component=otel-collector --output json"
	if calls := f.read("calls"); !strings.Contains(calls, selector) {
		t.Errorf("calls:\n%s", calls)
	}
}
