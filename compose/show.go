package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"soundcheck/compose/project"
)

// container is a line of docker compose ps.
type container struct {
	Service  string
	State    string // running, exited, restarting …
	Health   string // healthy, unhealthy, starting; none without a check
	Status   string // Up 2 minutes (healthy)
	ExitCode int
}

func (c *container) well() bool {
	if c.Service == project.Prepare {
		return c.State != "exited" || c.ExitCode == 0
	}
	return c.State == "running" && (c.Health == "healthy" || c.Health == "")
}

func (c *container) condition() string {
	switch {
	case c.State == "exited":
		return fmt.Sprintf("ended with %d", c.ExitCode)
	case c.State == "running" && c.Health != "":
		return c.Health
	}
	return c.State
}

// containers returns the lab's containers in the order of its services.
func containers(ctx context.Context, p *project.Project) ([]container, error) {
	out, err := p.Command(ctx, "ps", "--all", "--format", "json").Output()
	if err != nil {
		return nil, fmt.Errorf("docker compose ps: %w", err)
	}
	var list []container
	for line := range bytes.Lines(out) {
		var c container
		if err := json.Unmarshal(line, &c); err != nil {
			return nil, fmt.Errorf("docker compose ps said %.200q: %w", line, err)
		}
		list = append(list, c)
	}
	order := p.Services()
	slices.SortFunc(list, func(a, b container) int {
		return cmp.Compare(slices.Index(order, a.Service), slices.Index(order, b.Service))
	})
	return list, nil
}

// show prints what runs, where it is, and what to try next.
func show(ctx context.Context, p *project.Project, stdout io.Writer) error {
	list, err := containers(ctx, p)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tSTATE\tADDRESS")
	for _, c := range list {
		if c.Service != project.Prepare {
			fmt.Fprintf(t, "%s\t%s\t%s\n", c.Service, c.condition(), cmp.Or(strings.Join(p.Addresses(c.Service), " "), "-"))
		}
	}
	t.Flush()
	fmt.Fprintf(&b, "\nproject %s, %s images, state in %s\n", p.Name(), p.Images, p.Dir())
	if p.OnlyStore {
		tryStore(&b, p)
	} else {
		host := ""
		if p.Limited {
			host = bridge(ctx, p)
		}
		try(&b, p, host)
	}
	_, err = stdout.Write(b.Bytes())
	return err
}

// try says what to try next. StoreHost is where a store on this machine listens for the
// containers.
func try(w io.Writer, p *project.Project, storeHost string) {
	page := cmp.Or(p.Grafana(), p.Console())
	if p.Limited {
		fmt.Fprintf(w, `
start an album store, natively or in a debugger; the proxy finds it:
  export OTEL_EXPORTER_OTLP_ENDPOINT=%s OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
  export OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=compose OTEL_METRIC_EXPORT_INTERVAL=5000
  go run ./store -addr %s:%d -db sqlite:/tmp/albums.db
`, p.OTLP(), storeHost, p.OutsideStore())
	}
	datagen, loadgen := "go run ./datagen -n 1000", "go run ./loadgen -rate 100"
	if p.Offset != 0 {
		env := "OTEL_EXPORTER_OTLP_ENDPOINT=" + p.OTLP() + " "
		datagen, loadgen = env+datagen+" -url "+p.Proxy(), env+loadgen+" -url "+p.Proxy()+" -jaeger "+p.Jaeger()
	}
	fmt.Fprintf(w, `
open %s in a browser

try next:
  curl %s/albums/1
  %s
  %s
  curl '%s/api/traces?service=proxy-service&limit=1'
`, page, cmp.Or(p.Edge(), p.Proxy()), datagen, loadgen, p.Jaeger())
	if !p.Limited {
		fmt.Fprintf(w, "  go run ./compose%s kill album-store-2   (the proxy goes on with the other one; then: start album-store-2)\n", flagsOf(p))
	}
	fmt.Fprintf(w, "  go run ./compose%s ps   (or logs -f, exec, down)\n", flagsOf(p))
}

func tryStore(w io.Writer, p *project.Project) {
	offset := ""
	if p.Offset != 0 {
		offset = fmt.Sprintf(" -port-offset %d", p.Offset)
	}
	fmt.Fprintf(w, `
try next:
  curl %[1]s/albums/1
  go run ./lab up%[2]s -otlp-everywhere -store %[1]s   (others on your network reach its Collector then)
  go run ./compose%[3]s exec postgres psql -U albums
  go run ./compose%[3]s ps   (or logs -f, down)
`, p.Store(), offset, flagsOf(p))
}

// flagsOf returns the flags that name the lab, for commands that are shown.
func flagsOf(p *project.Project) string {
	s := ""
	if p.State != filepath.Join(p.Root, ".lab") {
		s += " -state " + p.State
	}
	return s + p.Which()
}

// bridge returns the address of this machine that containers call host.docker.internal, if
// it is one: on Linux that of Docker's bridge. Docker Desktop takes them to the loopback
// address.
func bridge(ctx context.Context, p *project.Project) string {
	const loopback = "127.0.0.1"
	out, err := p.Command(ctx, "exec", "-T", "proxy-service", "/tools/labtool", "cat", "/etc/hosts").Output()
	addrs, err2 := net.InterfaceAddrs()
	if err != nil || err2 != nil {
		return loopback
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[1] != "host.docker.internal" {
			continue
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.String() == fields[0] {
				return fields[0]
			}
		}
	}
	return loopback
}
