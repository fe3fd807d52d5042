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
	"soundcheck/lab/plan"
)

// lookupEnv returns the last value of a variable in an environment.
func lookupEnv(environ []string, name string) (value string) {
	for _, kv := range environ {
		if n, v, _ := strings.Cut(kv, "="); n == name {
			value = v
		}
	}
	return value
}

// silencing are values that make a program record or export less than its user may expect, with the effect.
var silencing = []struct {
	name, effect string
	is           func(string) bool
}{
	{"OTEL_SDK_DISABLED", "no telemetry is recorded", func(v string) bool { return strings.EqualFold(v, "true") }},
	{"OTEL_TRACES_EXPORTER", "no traces are exported", isNone},
	{"OTEL_METRICS_EXPORTER", "no metrics are exported", isNone},
	{"OTEL_LOGS_EXPORTER", "no logs are exported over OTLP", isNone},
	{"OTEL_PROPAGATORS", "each service begins a trace of its own", func(v string) bool {
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
	set := d.variables(c, "", d.Environ, nil)
	var told []string
	for _, f := range c.Findings {
		told = append(told, f.Text)
	}
	if d.status != nil {
		for _, p := range d.status.Components {
			if env, ok := d.process(p.Process.PID).environ(); ok && p.Process.Alive() && (p.Name == plan.StoreName || p.Name == plan.ProxyName) {
				d.variables(c, " (of the running "+p.Name+")", env, told)
			}
		}
	}
	if set == 0 {
		c.note("none is set")
	} else {
		c.note("%s set, all used", plural(set, "variable"))
	}
	return c
}

// variables checks those of one environment, except what was told already. It returns how many are set.
func (d *doctor) variables(c *Check, of string, environ, told []string) (set int) {
	fix := func(name string) string {
		if of != "" {
			return "unset " + name + "; " + d.command("down") + " && " + d.upCommand(d.Lab.Offset)
		}
		return "unset " + name
	}
	warn := func(text, cause, next string) {
		if !slices.Contains(told, text) {
			c.warn(text+of, cause, next)
		}
	}
	for _, kv := range environ {
		if strings.HasPrefix(kv, "OTEL_") {
			set++
		}
	}
	list, _ := environment.Check(environ)
	for _, v := range list {
		if v.Reason != "unknown variable" {
			warn(v.String(), "the value is not used: the default counts", fix(v.Name))
			continue
		}
		v.Reason = "unknown variable, it has no effect"
		if near := nearest(v.Name); near != "" {
			warn(v.String(), "a misspelled "+near+"?", fix(v.Name))
		} else {
			warn(v.String(), "", fix(v.Name))
		}
	}
	for _, s := range silencing {
		if v := lookupEnv(environ, s.name); v != "" && s.is(v) && !slices.ContainsFunc(list, func(i environment.Ignored) bool { return i.Name == s.name }) {
			if of != "" && s.name == "OTEL_SERVICE_NAME" {
				continue
			}
			warn(fmt.Sprintf("%s=%s: %s", s.name, v, s.effect), "", fix(s.name))
		}
	}
	return set
}

// nearest returns the variable of the specification that a name is most like; "": none is close.
func nearest(name string) (best string) {
	least := 4
	for _, known := range environment.Names() {
		if n := distance(name, known); n < least {
			best, least = known, n
		}
	}
	return best
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// checkProxies checks that no HTTP proxy gets what is sent to the lab.
func (d *doctor) checkProxies(ctx context.Context) *Check {
	c := newCheck("proxy")
	noProxy := cmp.Or(lookupEnv(d.Environ, "no_proxy"), lookupEnv(d.Environ, "NO_PROXY"))
	var set []string
	for _, name := range []string{"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"} {
		value := lookupEnv(d.Environ, name)
		if value == "" {
			continue
		}
		set = append(set, name)
		shown := cli.WithoutPassword(value)
		if !strings.HasPrefix(strings.ToLower(name), "https") && !(bypasses(noProxy, "localhost") && bypasses(noProxy, "127.0.0.1")) {
			c.warn(fmt.Sprintf("%s=%s also gets requests to 127.0.0.1 or localhost", name, shown),
				"NO_PROXY does not name both; Go programs do not use a proxy for them, but curl and SDKs of other languages do",
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
		conn, err := (&net.Dialer{}).DialContext(dial, "tcp", hostPort(u))
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

// bypasses reports whether NO_PROXY has a host, as curl and most libraries read it.
func bypasses(noProxy, host string) bool {
	ip, _ := netip.ParseAddr(host)
	for part := range strings.SplitSeq(noProxy, ",") {
		part = strings.ToLower(strings.TrimSpace(part))
		if part == "*" || strings.TrimPrefix(part, ".") == host {
			return true
		}
		if network, err := netip.ParsePrefix(part); err == nil && ip.IsValid() && network.Contains(ip) {
			return true
		}
	}
	return false
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
	use := fmt.Sprintf("export OTEL_EXPORTER_OTLP_ENDPOINT=%s; or add a line to /etc/hosts: 127.0.0.1 localhost", d.Lab.OTLP())
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
	sockets, _ := d.listeners()
	for _, p := range d.components {
		for _, port := range p.Ports {
			for _, l := range sockets {
				if a := l.addr.Addr(); int(l.addr.Port()) != port.Number || a != netip.IPv6Loopback() && !(a.Is6() && a.IsUnspecified()) {
					continue
				}
				if of := d.componentOf(p.Name); of != nil && l.local() {
					continue // on [::]: checkPorts reports it, or it is the component
				}
				who, next := "another process", use
				if by, ok := d.owner(l); ok {
					who, next = fmt.Sprintf("%s (pid %d)", by.name(), by.pid), fmt.Sprintf("kill %d; or write 127.0.0.1 instead of localhost", by.pid)
				}
				if a := l.addr.Addr(); a.IsUnspecified() {
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
	path := lookupEnv(d.Environ, "PATH")
	name := ""
	for _, dir := range filepath.SplitList(path) {
		if found, err := exec.LookPath(filepath.Join(dir, "go")); err == nil && name == "" {
			name = found
		}
	}
	if name == "" {
		c.problem("there is no go command on PATH", "the lab builds its components with it", "export PATH=$PATH:/usr/local/go/bin; or install Go from https://go.dev/dl")
		return c
	}
	cmd := exec.CommandContext(ctx, name, "env", "GOVERSION", "GOFLAGS", "GOTOOLCHAIN")
	cmd.Dir, cmd.Env = d.Lab.Root, d.Environ
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
