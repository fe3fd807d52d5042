// Console shows the lab in a browser: the state of its components, dashboards, traces, logs
// and load tests.
//
//	go run ./console     # on http://127.0.0.1:3300, for the lab that make lab-up starts
//
// It queries Prometheus, Jaeger and the supervisor of the lab, and reads the
// logs and the run history in the lab's state folder. In the lab it also listens on the address
// of Jaeger's UI, and shows the traces first there.
package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"soundcheck/console/load"
	"soundcheck/console/profiles"
	"soundcheck/console/server"
	"soundcheck/internal/cli"
	"soundcheck/internal/httpserver"
	"soundcheck/internal/profiling"
	"soundcheck/internal/version"
	"soundcheck/lab/plan"
)

func main() { cli.Main("console", run) }

type config struct {
	addr, tracesAddr   string
	adminAddr          string
	prometheus, jaeger *url.URL
	state              string
	containers         []server.Container
	kubernetes         bool
	allowControl       bool
	offset             int
}

func parse(args []string, getenv func(string) string, stdout io.Writer) (c config, err error) {
	f := cli.NewFlags("console [flags]", "SOUNDCHECK_CONSOLE", "Show the lab in a browser.")
	f.StringVar(&c.addr, "addr", "127.0.0.1:3300", "listen address, `host:port`")
	f.StringVar(&c.tracesAddr, "traces-addr", "", "second listen address, `host:port`, that shows the traces first (none)")
	f.StringVar(&c.adminAddr, "admin-addr", "", "`host:port` of /debug/pprof of this process; loopback only (none)")
	prometheus := f.String("prometheus", "http://127.0.0.1:9090", "`URL` of Prometheus")
	jaeger := f.String("jaeger", "http://127.0.0.1:16697", "`URL` of Jaeger's query API")
	f.StringVar(&c.state, "state", ".lab", "state `folder` of the lab: logs, run history, state")
	containers := f.String("containers", "", "readiness of containers, `name=URL` separated by commas (none: use the supervisor in -state)")
	f.IntVar(&c.offset, "port-offset", 0, "port offset of the lab in -containers, a `number` from 0 to 40000")
	f.BoolVar(&c.allowControl, "allow-control", false, "let pages set faults and run load tests although -addr or -traces-addr is not a loopback address")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return c, err
	}
	for _, a := range []struct{ name, addr string }{{"addr", c.addr}, {"traces-addr", c.tracesAddr}, {"admin-addr", c.adminAddr}} {
		_, port, err := net.SplitHostPort(a.addr)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil && a.addr != "" {
			return c, f.Errorf("-%s %q is not host:port with a port of 0 to 65535", a.name, a.addr)
		}
	}
	switch {
	case c.addr == "":
		return c, f.Errorf("-addr must not be empty")
	case c.tracesAddr == c.addr && !strings.HasSuffix(c.addr, ":0"):
		return c, f.Errorf("-traces-addr and -addr are the same: %s", c.addr)
	case c.adminAddr != "" && !loopback(c.adminAddr):
		return c, f.Errorf("-admin-addr %q: the host must be 127.0.0.1, ::1 or localhost", c.adminAddr)
	case c.state == "":
		return c, f.Errorf("-state must not be empty")
	case c.offset < 0 || c.offset > plan.MaxOffset:
		return c, f.Errorf("-port-offset %d is out of range: 0 to %d", c.offset, plan.MaxOffset)
	case c.allowControl && (*containers != "" || getenv("KUBERNETES_SERVICE_HOST") != ""):
		return c, f.Errorf("-allow-control does not work in containers: the console there reaches neither the fault settings nor a load generator")
	case c.offset > 0 && *containers == "":
		return c, f.Errorf("-port-offset requires -containers: a supervisor reports its own")
	}
	if *containers != "" {
		for part := range strings.SplitSeq(*containers, ",") {
			name, address, _ := strings.Cut(part, "=")
			u, err := url.Parse(address)
			if name == "" || err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
				return c, f.Errorf("-containers: %q is not name=URL", part)
			}
			c.containers = append(c.containers, server.Container{Name: name, Ready: address})
		}
	}
	for _, u := range []struct {
		name, value string
		into        **url.URL
	}{{"prometheus", *prometheus, &c.prometheus}, {"jaeger", *jaeger, &c.jaeger}} {
		base, err := cli.ParseURL(u.value)
		if err != nil {
			return c, f.Errorf("-%s: %v", u.name, err)
		}
		if *u.into, err = url.Parse(base); err != nil {
			return c, f.Errorf("-%s: %v", u.name, err)
		}
	}
	c.kubernetes = getenv("KUBERNETES_SERVICE_HOST") != "" // set in every pod
	if c.state, err = filepath.Abs(c.state); err != nil {
		return c, f.Errorf("-state: %v", err)
	}
	return c, f.NoArgs()
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, _ io.Writer) error {
	if len(args) > 0 && args[0] == profiles.DrawCommand {
		return profiles.Draw(args[1:], stdout)
	}
	c, err := parse(args, getenv, stdout)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewJSONHandler(stdout, nil))
	servers, ctx := errgroup.WithContext(ctx)
	// One server for both addresses, because it limits concurrent work.
	config := server.Config{Prometheus: c.prometheus, Jaeger: c.jaeger, State: c.state,
		Containers: c.containers, Kubernetes: c.kubernetes, PortOffset: c.offset, AllowControl: c.allowControl, NoControl: c.noControl()}
	if len(c.containers) == 0 && !c.kubernetes {
		config.Load = load.New(c.state)
		context.AfterFunc(ctx, func() { _ = config.Load.Stop() }) // while requests drain; Close waits and reports
	}
	pages := server.New(config)
	serve := func(addr string, handler http.Handler) {
		servers.Go(func() error {
			return httpserver.Run(ctx, httpserver.Config{Name: "console", Version: version.String(), Addr: addr,
				Handler: handler, Metrics: http.NotFoundHandler(), Logger: logger, DrainTimeout: drainTimeout})
		})
	}
	serve(c.addr, pages)
	if c.adminAddr != "" {
		serve(c.adminAddr, profiling.Handler())
	}
	if c.tracesAddr != "" {
		serve(c.tracesAddr, server.Leading(pages, "/traces"))
	}
	err = servers.Wait()
	if config.Load != nil {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		err = errors.Join(err, config.Load.Close(end))
	}
	return err
}

// noControl returns why the pages may not set faults and run load tests, or "".
func (c config) noControl() string {
	for _, addr := range []string{c.addr, c.tracesAddr} {
		if addr != "" && !c.allowControl && !loopback(addr) {
			return "The console listens on " + addr + ". Faults and load tests from its pages need a loopback address, or -allow-control."
		}
	}
	return ""
}

// loopback reports whether only this machine reaches an address.
func loopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// loadTimeout is the time for a load test to write its report at shutdown.
const loadTimeout = 12 * time.Second

// drainTimeout is the time for in-flight requests to finish at shutdown.
const drainTimeout = 5 * time.Second
