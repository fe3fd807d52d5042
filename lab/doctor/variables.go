package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/internal/telemetry/environment"
	"soundcheck/lab/doctor/otlp"
	"soundcheck/lab/plan"
)

// silencing are values that make a program record or export less than its user may expect, with the effect.
var silencing = []struct {
	name, effect string
	is           func(string) bool
}{
	{"OTEL_SDK_DISABLED", "no telemetry is recorded", func(v string) bool { return strings.EqualFold(v, "true") }},
	{"OTEL_TRACES_EXPORTER", "no traces are exported", isNone},
	{"OTEL_METRICS_EXPORTER", "no metrics are exported", isNone},
	{"OTEL_LOGS_EXPORTER", "no logs are exported over OTLP", isNone},
	{"OTEL_PROPAGATORS", "no traceparent is sent or read, so traces end at services that need it", func(v string) bool {
		return !slices.ContainsFunc(strings.Split(v, ","), func(p string) bool { return strings.TrimSpace(p) == "tracecontext" })
	}},
	{"OTEL_TRACES_SAMPLER", "traces are recorded in part or not at all", func(v string) bool {
		return !slices.Contains([]string{"always_on", "parentbased_always_on"}, strings.TrimSpace(v))
	}},
	{"OTEL_SERVICE_NAME", "loadgen and datagen report under this name", func(string) bool { return true }},
}

func isNone(v string) bool { return strings.EqualFold(strings.TrimSpace(v), "none") }

// checkVariables checks the OTEL_* variables of this shell, and of the services that run.
func (d *doctor) checkVariables(context.Context) *Check {
	c := newCheck("OTEL_*")
	set := 0
	for _, kv := range d.Environ {
		if strings.HasPrefix(kv, "OTEL_") {
			set++
		}
	}
	own := variables(d.Environ)
	for _, f := range own {
		c.warn(f.Text, f.Cause, f.Next)
	}
	var of []Finding // of services, with their names
	names := map[string][]string{}
	for _, name := range []string{plan.StoreName, plan.ProxyName} {
		p := d.componentOf(name)
		if p == nil || !p.Process.Alive() || d.exercise() != "" {
			continue
		}
		env, _ := d.sys.Process(p.Process.PID).Environ()
		for _, f := range variables(env) {
			if slices.Contains(own, f) {
				continue
			}
			if names[f.Text] == nil {
				of = append(of, f)
			}
			names[f.Text] = append(names[f.Text], name)
		}
	}
	for _, f := range of {
		c.warn(f.Text+" (of the running "+strings.Join(names[f.Text], ", ")+")", f.Cause, f.Next+"; "+d.upCommand("", d.Lab.Offset))
	}
	if set == 0 {
		c.note("none is set")
	} else {
		c.note("%s set, all used", plural(set, "variable"))
	}
	if x := d.exercise(); x != "" {
		c.note("those of the services are hidden: exercise %s is active", x)
	}
	return c
}

// variables are what is wrong with those of an environment.
func variables(environ []string) (found []Finding) {
	warn := func(name, text, cause string) {
		found = append(found, newFinding(Warning, text, cause, "unset "+name))
	}
	list, use := environment.Check(environ)
	for _, v := range list {
		if v.Reason != environment.Unknown {
			cause := "the value is not used: the default counts"
			if used, changed := use[v.Name]; !changed || used != "" {
				cause = "the rest of the value is used"
			}
			warn(v.Name, v.String(), cause)
			continue
		}
		cause := ""
		if near := environment.Nearest(v.Name); near != "" {
			cause = "a misspelled " + near + "?"
		}
		warn(v.Name, v.String()+", it has no effect", cause)
	}
	for _, s := range silencing {
		if v := environment.Lookup(environ, s.name); v != "" && s.is(v) && !slices.ContainsFunc(list, func(i environment.Ignored) bool { return i.Name == s.name }) {
			warn(s.name, fmt.Sprintf("%s=%s: %s", s.name, v, s.effect), "")
		}
	}
	return found
}

// checkProxies checks that no HTTP proxy gets what is sent to the lab.
func (d *doctor) checkProxies(ctx context.Context) *Check {
	c := newCheck("proxy")
	noProxy := cmp.Or(environment.Lookup(d.Environ, "no_proxy"), environment.Lookup(d.Environ, "NO_PROXY"))
	var set []string
	for _, name := range []string{"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"} {
		value := environment.Lookup(d.Environ, name)
		if value == "" {
			continue
		}
		set = append(set, name)
		shown := cli.WithoutPassword(value)
		if !strings.HasPrefix(strings.ToLower(name), "https") && !(otlp.Bypasses(noProxy, "localhost") && otlp.Bypasses(noProxy, "127.0.0.1")) {
			c.warn(fmt.Sprintf("%s=%s also gets requests to 127.0.0.1 or localhost", name, shown),
				"NO_PROXY does not name both; Go programs do not use a proxy for them, but other programs and SDKs do",
				"export NO_PROXY="+strings.TrimPrefix(noProxy+",localhost,127.0.0.1,::1", ",")+" no_proxy="+strings.TrimPrefix(noProxy+",localhost,127.0.0.1,::1", ","))
		}
		address := value
		if !strings.Contains(address, "://") {
			address = "http://" + address
		}
		u, err := url.Parse(address)
		if err != nil || u.Hostname() == "" {
			c.warn(fmt.Sprintf("%s=%s is not a URL", name, shown), "programs ignore it, or fail", "unset "+name)
			continue
		}
		dial, cancel := context.WithTimeout(ctx, 2*time.Second)
		conn, err := (&net.Dialer{}).DialContext(dial, "tcp", otlp.HostPort(u))
		cancel()
		if err != nil && ctx.Err() == nil {
			c.warn(fmt.Sprintf("the proxy of %s=%s does not accept connections", name, shown), err.Error()+"; downloads of modules and releases fail", "unset "+name)
		} else if err == nil {
			conn.Close()
		}
	}
	if len(set) == 0 {
		c.note("no proxy variable is set")
	} else {
		c.note("%s: requests to the lab bypass it", strings.Join(set, ", "))
	}
	return c
}

// checkLocalhost checks that the name localhost leads to the lab, which listens on 127.0.0.1.
func (d *doctor) checkLocalhost(ctx context.Context) *Check {
	c := newCheck("localhost")
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	addrs, err := d.lookup(ctx, "localhost")
	four, six := false, false
	for i, a := range addrs {
		addrs[i] = a.Unmap()
		four = four || addrs[i] == netip.AddrFrom4([4]byte{127, 0, 0, 1})
		six = six || addrs[i] == netip.IPv6Loopback()
	}
	use := fmt.Sprintf("export OTEL_EXPORTER_OTLP_ENDPOINT=%s"+or+"add a line to /etc/hosts: 127.0.0.1 localhost", d.Lab.OTLP())
	if err != nil || !four {
		cause := fmt.Sprintf("it resolves to %v", addrs)
		if err != nil {
			cause = err.Error()
		}
		c.problem("the name localhost does not lead to 127.0.0.1, where the lab listens", cause+"; http://localhost:4318 is the default endpoint of exporters", use)
		return c
	}
	c.note("%v", addrs)
	if !six {
		return c
	}
	c.note("a client that tries ::1 alone does not reach the lab, which listens on 127.0.0.1")
	sockets, _ := d.sys.Listeners()
	for _, p := range d.components {
		for _, port := range p.Ports {
			for _, l := range sockets {
				if a := l.Addr.Addr(); int(l.Addr.Port()) != port.Number || a != netip.IPv6Loopback() && !(a.Is6() && a.IsUnspecified()) {
					continue
				}
				if of := d.componentOf(p.Name); of != nil && l.Local() {
					continue // on [::]: checkPorts reports it, or it is the component
				}
				who, next := "another process", use
				if by, ok := d.sys.Owner(l); ok {
					who, next = fmt.Sprintf("%s (pid %d)", by.Name(), by.PID), fmt.Sprintf("kill %d"+or+"write 127.0.0.1 instead of localhost", by.PID)
				}
				if a := l.Addr.Addr(); a.IsUnspecified() {
					continue
				}
				c.problem(fmt.Sprintf("localhost:%d leads to %s, not to %s", port.Number, who, p.Name), fmt.Sprintf("localhost is ::1 first, where %s listens; the lab listens on 127.0.0.1", who), next)
			}
		}
	}
	return c
}

// checkGo checks that the go command can build the lab.
func (d *doctor) checkGo(ctx context.Context) *Check {
	c := newCheck("go")
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	path := environment.Lookup(d.Environ, "PATH")
	name := ""
	for _, dir := range filepath.SplitList(path) {
		if found, err := exec.LookPath(filepath.Join(dir, "go")); err == nil && name == "" {
			name = found
		}
	}
	if name == "" {
		c.problem("there is no go command on PATH", "the lab builds its components with it", "export PATH=$PATH:/usr/local/go/bin"+or+"install Go from https://go.dev/dl")
		return c
	}
	cmd := exec.CommandContext(ctx, name, "env", "GOVERSION", "GOFLAGS", "GOTOOLCHAIN")
	cmd.Dir, cmd.Env = d.Lab.Root, d.Environ
	cmd.WaitDelay = time.Second // a child of a wrapper can keep the output open
	out, err := cmd.CombinedOutput()
	if err != nil {
		text := firstLine(strings.TrimSpace(string(out)))
		c.problem("the go command fails", shortened(cmp.Or(text, err.Error())), fmt.Sprintf("cd %s && go version", d.Lab.Root))
		return c
	}
	lines := append(strings.Split(string(out), "\n"), "", "")
	c.note("%s, %s/%s", lines[0], runtime.GOOS, runtime.GOARCH)
	if lines[1] != "" {
		c.note("GOFLAGS=%s", lines[1])
	}
	if slices.ContainsFunc(strings.Fields(lines[1]), func(f string) bool { return strings.TrimLeft(f, "-") == "mod=vendor" }) {
		c.problem("GOFLAGS has -mod=vendor", "this repository has no vendor folder", "go env -u GOFLAGS; unset GOFLAGS")
	}
	if lines[0] != runtime.Version() {
		c.warn(fmt.Sprintf("the go command is %s, and this program was built with %s", lines[0], runtime.Version()), "the lab builds every component again when it changes", fmt.Sprintf("cd %s && go run ./lab doctor%s", d.Lab.Root, d.StateFlag))
	}
	return c
}
