package doctor

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"soundcheck/internal/fault"
	"soundcheck/lab/build"
	"soundcheck/lab/doctor/metrics"
	"soundcheck/lab/plan"
	"soundcheck/lab/proc"
	"soundcheck/lab/supervisor"
)

// A supervisor with a real album store and a real proxy, which are broken one way after the other.
func TestServices(t *testing.T) {
	l := freeLab(t)
	bin := filepath.Join(l.State, "bin")
	b := &build.Builder{Root: l.Root, Bin: bin, Logs: l.Logs()}
	if err := os.MkdirAll(l.Logs(), 0o755); err != nil {
		t.Fatal(err)
	}
	var components []plan.Component
	for _, p := range l.Components() {
		switch p.Name {
		case plan.ProxyName:
			p.Env = append(p.Env, "SOUNDCHECK_PROXY_RATE_LIMIT=20", "OTEL_TRACES_SAMPLER=always_off")
			fallthrough
		case plan.StoreName:
			p.Env = append(p.Env, "SOUNDCHECK_STORE_MAX_CONNS=2")
			p.Setup = nil
			components = append(components, p)
		}
	}
	r := start(t, l, b, components...)
	albums := l.Proxy() + "/albums/1"

	first := r.run()
	for _, name := range []string{"lab", "ports", "builds", "clock", "faults", "limits"} {
		wantOK(t, check(t, first, name))
	}
	want(t, check(t, first, "OTEL_*"), Warning, "OTEL_TRACES_SAMPLER=always_off: traces are recorded in part or not at all (of the running proxy-service)", "",
		"unset OTEL_TRACES_SAMPLER; go run ./lab up -state "+l.State+" -again")

	t.Run("a fault is left on", func(t *testing.T) {
		r := &running{t, r.fleet, nil}
		r.set(l.StoreAdmin(), "db-delay=1ms")
		r.set(l.ProxyAdmin(), "latency=1ms@10%")
		c := check(t, r.run(), "faults")
		want(t, c, Problem, "album-store injects faults: db-delay=1ms", "soundcheck.fault", "curl -X DELETE "+l.StoreAdmin())
		want(t, c, Problem, "proxy-service injects faults: latency=1ms@10%", "", "curl -X DELETE "+l.ProxyAdmin())
		r.set(l.StoreAdmin())
		r.set(l.ProxyAdmin())
		wantOK(t, check(t, r.run(), "faults"))
	})
	t.Run("a rate limit", func(t *testing.T) {
		r := &running{t, r.fleet, nil}
		stop := r.load(albums, 8)
		r.finds("limits", Warning, "req/s now: global_rate_limit", "SOUNDCHECK_PROXY_RATE_LIMIT=20", "curl -s "+l.Proxy()+"/metrics")
		stop()
		r.ok("limits")
	})
	t.Run("a concurrency limit", func(t *testing.T) {
		r := &running{t, r.fleet, nil}
		r.set(l.StoreAdmin(), "db-delay=100ms", "slots=1")
		stop := r.load(l.Store()+"/albums/1", 200)
		r.finds("limits", Warning, "album-store sheds ", "-concurrency", "/metrics")
		stop()
		r.set(l.StoreAdmin())
		r.ok("limits")
	})
	t.Run("a connection pool", func(t *testing.T) {
		r := &running{t, r.fleet, nil}
		r.set(l.StoreAdmin(), "conn-leak=100%")
		stop := r.load(l.Store()+"/albums/1", 2)
		r.finds("limits", Problem, `album-store uses all 2 connections of its pool "reader"`, "a leak", "lab restart -state "+l.State+" album-store")
		stop()
		r.set(l.StoreAdmin())
		if err := supervisor.NewClient(l.State).Restart(t.Context(), plan.StoreName); err != nil {
			t.Fatal(err)
		}
		r.ok("limits")
	})
	t.Run("a circuit breaker", func(t *testing.T) {
		r := &running{t, r.fleet, nil}
		r.set(l.StoreAdmin(), "error=500@100%")
		stop := r.load(albums, 4)
		r.finds("limits", Problem, "the circuit breaker of proxy-service for 127.0.0.1:"+strconv.Itoa(plan.StorePort+l.Offset)+" is ", "503 without a call", "lab logs -state "+l.State+" album-store")
		stop()
		r.set(l.StoreAdmin())
	})
	t.Run("a process is stopped", func(t *testing.T) {
		r := &running{t, r.fleet, nil}
		pid := r.status(plan.StoreName).Process.PID
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		r.finds("lab", Problem, "album-store is stopped (pid "+strconv.Itoa(pid)+")", "SIGSTOP", "kill -CONT "+strconv.Itoa(pid))
		if c := check(t, r.run(), "limits"); !has(c, Warning, "the metrics of album-store cannot be read", "", l.Store()+"/metrics") {
			t.Errorf("limits of a store that does not respond: %+v", c)
		}
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		r.ok("lab")
	})
	t.Run("a port of a component that cannot start", func(t *testing.T) {
		r := &running{t, r.fleet, nil}
		taker := listenElsewhere(t, "127.0.0.1:"+strconv.Itoa(plan.StorePort+l.Offset), func() {
			r.status(plan.StoreName).Process.Signal(syscall.SIGKILL)
		})
		result := r.run()
		want(t, check(t, result, "ports"), Problem, "port "+strconv.Itoa(plan.StorePort+l.Offset)+" (album-store) is in use by "+taker.name, "", "kill "+strconv.Itoa(taker.pid))
		r.finds("lab", Problem, "album-store is ", "address already in use", "lab logs -state "+l.State+" album-store")
		taker.stop()
		eventually(t, "the store is ready", func() bool { return r.status(plan.StoreName).State == supervisor.Ready })
		result = r.run()
		wantOK(t, check(t, result, "ports"))
		want(t, check(t, result, "lab"), Warning, "album-store was restarted ", "its log ends with: ", "lab logs -state "+l.State+" album-store")
	})
}

// What an exercise has set is for its users to find: neither limits nor variables of services are shown.
func TestExerciseHidden(t *testing.T) {
	self, err := proc.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, exercise := range []string{"", "short-traces"} {
		d := fakeLab(t)
		d.sys.Root = system(t, map[string]string{fmt.Sprintf("proc/%d/environ", self.PID): "OTEL_PROPAGATORS=none\x00"})
		d.status = &supervisor.Status{Exercise: exercise, Components: []supervisor.ComponentStatus{{Name: plan.StoreName, Process: self}}}
		pool := map[string]string{"db_client_connection_pool_name": "reader", "status": "inuse"}
		page := metrics.Page{"db_sql_connection_max_open": {{Labels: pool, Value: 4}}, "db_sql_connection_open": {{Labels: pool, Value: 4}}}
		d.first.pages = map[string]metrics.Page{plan.StoreName: page}
		d.second.pages = d.first.pages
		variables, limits := d.checkVariables(t.Context()), d.checkLimits(t.Context())
		if exercise == "" {
			want(t, *variables, Warning, "OTEL_PROPAGATORS=none", "", "unset OTEL_PROPAGATORS")
			want(t, *limits, Problem, `its pool "reader"`, "", "lab restart")
			continue
		}
		if len(variables.Findings)+len(limits.Findings) > 0 || limits.Outcome != Skipped || !strings.Contains(variables.Text, "exercise short-traces is active") {
			t.Errorf("%+v, %+v", variables, limits)
		}
	}
}

// A service that did not respond to the first sample is not asked again, while others are scraped.
func TestSampleTwice(t *testing.T) {
	d := fakeLab(t)
	d.status = &supervisor.Status{}
	d.first.failed = map[string]error{}
	for i := range 40 {
		d.Lab.Stores = append(d.Lab.Stores, fmt.Sprintf("http://127.0.0.1:1/%d", i))
		if i%2 == 0 {
			d.first.failed["the store at "+d.Lab.Stores[i]] = errors.New("no response")
		}
	}
	if s := d.sample(t.Context()); len(s.failed) != 40 || s.failed["the store at "+d.Lab.Stores[0]].Error() != "no response" {
		t.Errorf("%v", s.failed)
	}
}

// The faults of an exercise are not shown.
func TestHiddenFaults(t *testing.T) {
	self, err := proc.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []bool{false, true} {
		d := fakeLab(t)
		d.status = &supervisor.Status{Components: []supervisor.ComponentStatus{{Name: plan.StoreName, Process: self}}}
		set := fault.New(1, fault.Latency)
		if hidden {
			set.Hide()
		}
		if err := set.Replace(t.Context(), "latency=1ms"); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", strings.TrimSuffix(strings.TrimPrefix(d.Lab.StoreAdmin(), "http://"), "/admin/faults"))
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: set.Admin()}
		go s.Serve(l)
		c := d.checkFaults(t.Context())
		s.Close()
		if hidden {
			if wantOK(t, *c); strings.Contains(c.Text, "latency") || !strings.Contains(c.Text, "an exercise controls them") || strings.Contains(c.Text, "none active") {
				t.Errorf("%+v", c)
			}
		} else {
			want(t, *c, Problem, "album-store injects faults: latency=1ms", "", "curl -X DELETE ")
		}
		want(t, *d.checkFaults(t.Context()), Warning, "the faults of album-store are not known", "connection refused", "curl "+d.Lab.StoreAdmin())
	}
}
