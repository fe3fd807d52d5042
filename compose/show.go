package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"text/tabwriter"

	"soundcheck/lab/containers"
)

// show prints services, states, addresses and next commands.
func show(ctx context.Context, l *containers.Lab, stdout io.Writer) error {
	list, err := l.Containers(ctx)
	if err != nil {
		return err
	}
	l.Sort(list)
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tSTATE\tADDRESS")
	for _, c := range list {
		if c.Service != containers.Prepare {
			fmt.Fprintf(t, "%s\t%s\t%s\n", c.Service, c.Condition(), cmp.Or(strings.Join(l.Addresses(c.Service), " "), "-"))
		}
	}
	t.Flush()
	fmt.Fprintf(&b, "\nproject %s, %s images, state in %s\n", l.Name(), l.Images, l.State)
	if l.OnlyStore {
		printNextStore(&b, l)
	} else {
		printNext(&b, l)
	}
	_, err = stdout.Write(b.Bytes())
	return err
}

// printNext prints next commands.
func printNext(w io.Writer, l *containers.Lab) {
	if l.Limited {
		fmt.Fprintf(w, `
start an album store, natively or in a debugger; the proxy calls it:
  export OTEL_EXPORTER_OTLP_ENDPOINT=%s OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
  export OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=compose OTEL_METRIC_EXPORT_INTERVAL=5000
  go run ./store -addr %s:%d -db sqlite:/tmp/albums.db
`, l.OTLP(), bridge(), l.OutsideStore())
	}
	datagen, loadgen := "go run ./datagen -n 1000", "go run ./loadgen -rate 100"
	if l.Offset != 0 {
		env := "OTEL_EXPORTER_OTLP_ENDPOINT=" + l.OTLP() + " "
		datagen, loadgen = env+datagen+" -url "+l.Proxy(), env+loadgen+" -url "+l.Proxy()+" -jaeger "+l.Jaeger()
	}
	fmt.Fprintf(w, `
open %s in a browser

try next:
  curl %s/albums/1
  %s
  %s
  curl '%s/api/traces?service=proxy-service&limit=1'
`, cmp.Or(l.Grafana(), l.Console()), cmp.Or(l.Edge(), l.Proxy()), datagen, loadgen, l.Jaeger())
	if !l.Limited {
		fmt.Fprintf(w, "  go run ./compose%s kill album-store-2   (the proxy continues with the other one; then: start album-store-2)\n", l.Flags())
	}
	fmt.Fprintf(w, "  go run ./compose%s ps   (or logs -f, exec, down)\n", l.Flags())
}

func printNextStore(w io.Writer, l *containers.Lab) {
	offset := ""
	if l.Offset != 0 {
		offset = fmt.Sprintf(" -port-offset %d", l.Offset)
	}
	fmt.Fprintf(w, `
try next:
  curl %[1]s/albums/1
  go run ./lab up%[2]s -otlp-everywhere -store %[1]s   (its Collector is then reachable from your network)
  go run ./compose%[3]s exec postgres psql -U albums
  go run ./compose%[3]s ps   (or logs -f, down)
`, l.Store(), offset, l.Flags())
}

// bridge returns the address on which a process of this machine must listen for the
// containers, which call it host.docker.internal: on Linux that of Docker's bridge. Docker
// Desktop routes them to the loopback address.
func bridge() string {
	if docker0, err := net.InterfaceByName("docker0"); err == nil {
		addrs, _ := docker0.Addrs()
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
				return n.IP.String()
			}
		}
	}
	return "127.0.0.1"
}
