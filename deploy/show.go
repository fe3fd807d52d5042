package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"soundcheck/deploy/cluster"
	"soundcheck/internal/cli"
)

// ports are the local ports of components, those of the native lab.
var ports = []struct {
	component string
	local     []int
}{
	{"proxy-service", []int{9070}},
	{"otel-collector", []int{4317, 4318}},
	{"jaeger", []int{16696}},
	{"prometheus", []int{9090}},
	{"grafana", []int{3000}},
	{"console", []int{3300, 16696}},
	{"edge", []int{8070}},
}

// selected are the flags that select the release, to be shown.
func (f *flags) selected() string {
	var b strings.Builder
	if f.r.Context != "" {
		b.WriteString(" -context " + f.r.Context)
	}
	if f.r.Namespace != "soundcheck" {
		b.WriteString(" -namespace " + f.r.Namespace)
	}
	if f.r.Name != "soundcheck" {
		b.WriteString(" -release " + f.r.Name)
	}
	return b.String()
}

func (c *command) status(ctx context.Context) error {
	f := c.newFlags("deploy status [flags]", "Show the components of the release.")
	published := f.Bool("published", false, "the components' ports are published on localhost, as by deploy/k3d/cluster.yaml")
	if _, err := c.parse(f, false); err != nil {
		return err
	}
	if err := f.r.Connect(ctx); err != nil {
		return err
	}
	return c.show(ctx, f, *published)
}

// show prints components, their states and addresses, and next commands.
func (c *command) show(ctx context.Context, f *flags, published bool) error {
	status, err := f.r.Status(ctx)
	if err != nil {
		return err
	}
	if status.Revision == 0 {
		return fmt.Errorf("no release %s in namespace %s of context %s: install it with go run ./deploy up%s", f.r.Name, f.r.Namespace, f.r.Context, f.selected())
	}
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tREADY\tRESTARTS\tSTATE\tADDRESS")
	for _, w := range status.Workloads {
		address := "-"
		if s, ok := status.Service(w.Component); ok {
			address = s.Address()
		}
		fmt.Fprintf(t, "%s\t%d/%d\t%d\t%s\t%s\n", w.Component, w.Ready, w.Want, w.Restarts, w.State, address)
	}
	t.Flush()
	fmt.Fprintf(&b, "\nrelease %s, revision %d, %s, in namespace %s of context %s\n", f.r.Name, status.Revision, status.State, f.r.Namespace, f.r.Context)
	for _, w := range status.Workloads {
		if w.LeftOver {
			fmt.Fprintf(&b, "%s is no longer in the release: %s\n", w.Component, f.r.Kubectl("delete all,configmap -l "+f.r.Selector(w.Component)))
		}
	}
	printNext(&b, f, status, published)
	if _, err := c.stdout.Write(b.Bytes()); err != nil {
		return err
	}
	if !status.Well() {
		return cli.ErrSaid
	}
	return nil
}

// printNext prints next commands.
func printNext(w io.Writer, f *flags, status *cluster.Status, published bool) {
	if published {
		fmt.Fprintf(w, "\nthe ports of the native lab are published on localhost: open %s in a browser\n", page(status))
	} else {
		fmt.Fprintln(w, "\nforward the ports of the native lab:")
		console, _ := status.Service("console")
		for _, p := range ports {
			if p.component == "jaeger" && slices.Contains(console.Ports, 16696) {
				continue // the console serves traces and Jaeger's API
			}
			if s, ok := status.Service(p.component); ok {
				fmt.Fprintf(w, "  %s &\n", f.r.Kubectl(fmt.Sprintf("port-forward service/%s%s", s.Name, join(s, p.local))))
			}
		}
		fmt.Fprintf(w, "then open %s in a browser\n", page(status))
	}
	fmt.Fprintf(w, `
try next:
  curl http://127.0.0.1:9070/albums/1
  go run ./datagen -n 1000
  go run ./loadgen -rate 100
  go run ./lab verify -env k8s%[2]s
  %[1]s
  go run ./deploy status%[2]s   (or down)
`, f.r.Kubectl("logs -f deployment/"+status.Prefix("proxy-service")), f.selected())
}

// page is the address of the page to open.
func page(status *cluster.Status) string {
	if _, ok := status.Service("grafana"); ok {
		return "http://127.0.0.1:3000"
	}
	return "http://127.0.0.1:3300"
}

// join returns arguments of port-forward: of the local ports, those that the Service has.
func join(s cluster.Service, local []int) string {
	var b strings.Builder
	for _, port := range local {
		if slices.Contains(s.Ports, port) {
			fmt.Fprintf(&b, " %d", port)
		}
	}
	return b.String()
}
