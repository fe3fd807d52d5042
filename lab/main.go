// Lab starts, watches and stops the native lab: the album store and the proxy
// with the real OpenTelemetry Collector, Jaeger and Prometheus, without Docker.
//
//	go run ./lab up                  # get or build what is missing, start, show the addresses
//	go run ./lab up -again           # stop it if it runs, start it with the flags of its last start
//	go run ./lab up -with 'checkout=go run ./cmd/checkout' -with-url http://127.0.0.1:8080
//	go run ./lab status              # state, address, process, uptime and memory of each component
//	go run ./lab logs -f proxy-service
//	go run ./lab restart album-store # rebuild it if its sources changed
//	go run ./lab smoke               # ten requests through the proxy, each response checked
//	go run ./lab verify              # a short load, and what the backends recorded of it: all must agree
//	go run ./lab doctor              # what is wrong, and what to do; -otlp URL: with one OTLP endpoint
//	go run ./lab exercise list       # learn by finding: something is broken, and the lab checks your answer
//	go run ./lab down                # stop everything; data stays
//
// A lab stores everything in one folder (-state, by default .lab), and listens
// on 127.0.0.1 only. A second lab can run beside it with another -state and
// -port-offset.
package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/lab/build"
	"soundcheck/lab/obtain"
	"soundcheck/lab/plan"
)

const usage = `usage: lab COMMAND [flags]

commands:
  up       get or build what is missing, start the lab, show its addresses
  down     stop the lab; data stays
  status   show components: state, address, process, restarts, memory
  logs     show component logs: lab logs [-f] [name ...]
  restart  restart a component, rebuilt if its sources changed: lab restart name
  smoke    send ten requests through the proxy and check each response
  verify   send a short load and check what the backends recorded of it
  exercise find what is broken, with answers that the lab checks
  doctor   find out what is wrong with the lab, or with an OTLP endpoint, and what to do

"lab COMMAND -h" shows the flags of a command.
`

func main() { cli.Main("lab", run) }

type command func(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	commands := map[string]command{
		"up": up, "down": down, "status": status, "logs": logs, "restart": restart, "smoke": runSmoke, "verify": runVerify, "doctor": runDoctor, "exercise": exercise,
		"supervise": supervise, // up's background process
	}
	if len(args) == 0 {
		return cli.Usage("which command?", usage)
	}
	if c, ok := commands[args[0]]; ok {
		return c(ctx, args[1:], getenv, stdout, stderr)
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		_, err := io.WriteString(stdout, usage)
		return err
	}
	return cli.Usage(fmt.Sprintf("unknown command %q", args[0]), usage)
}

// flags are those of every command that concerns one lab.
type flags struct {
	*cli.Flags
	state   string
	offset  int
	db      string
	store   string
	otlp    bool
	from    string
	grafana bool

	with, withURL cli.Values
	withTimeout   time.Duration
	withDir       string
}

func newFlags(usage, about string) *flags {
	f := &flags{Flags: cli.NewFlags(usage, "SOUNDCHECK_LAB", about)}
	f.StringVar(&f.state, "state", "", "`folder` for data, logs and state (default .lab in the repository)")
	return f
}

func (f *flags) withOffset() *flags {
	f.IntVar(&f.offset, "port-offset", 0, fmt.Sprintf("`number` added to every port (0 to %d)", plan.MaxOffset))
	return f
}

// withDB adds the flag for the album store's database.
func (f *flags) withDB() *flags {
	f.StringVar(&f.db, "db", "", "album store's `database`: memory, sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE (default SQLite in the state folder)")
	return f
}

// withStore adds the flag for external album stores.
func (f *flags) withStore() *flags {
	f.StringVar(&f.store, "store", "", "external album store: `URL`, or several, comma-separated, that share a database (default: start one)")
	return f
}

// withOTLP adds the flag for the Collector's listen address.
func (f *flags) withOTLP() *flags {
	f.BoolVar(&f.otlp, "otlp-everywhere", false, "Collector listens on all addresses, reachable from containers and other machines (default: 127.0.0.1)")
	return f
}

// withPrograms adds the flags for the third-party programs.
func (f *flags) withPrograms() *flags {
	f.StringVar(&f.from, "from", string(plan.Auto), "origin of Jaeger, Prometheus and the Collector: `auto|release|source` (see docs/lab.md)")
	f.BoolVar(&f.grafana, "grafana", false, "run Grafana, too: an installed one, or a download")
	return f
}

// programs checks -from.
func (f *flags) programs(getenv func(string) string) (plan.From, error) {
	if f.Lookup("from") == nil { // this command starts nothing
		return "", nil
	}
	if _, err := obtain.NewFetcher("", getenv(obtain.MirrorVariable)); err != nil {
		return "", f.Errorf("%v", err)
	}
	switch from := plan.From(f.from); from {
	case plan.Auto, plan.Releases:
		return from, nil
	case plan.Source:
		for _, p := range []*obtain.Program{obtain.Jaeger, obtain.Prometheus, obtain.Collector} {
			if path := getenv(p.Variable()); path != "" {
				return "", f.Errorf("-from source excludes %s=%s: unset one of them", p.Variable(), path)
			}
		}
		return from, nil
	}
	return "", f.Errorf("-from %q is not auto, release or source", f.from)
}

// stores checks -store.
func (f *flags) stores(l plan.Lab) ([]string, error) {
	if f.store == "" {
		return nil, nil
	}
	if f.db != "" {
		return nil, f.Errorf("-store and -db exclude each other: set the database with the -db flag of the store at %s", f.store)
	}
	urls, err := cli.ParseURLs(f.store)
	if err != nil {
		return nil, f.Errorf("-store: %v", err)
	}
	for _, u := range urls {
		if isProxy(l, u) {
			return nil, f.Errorf("-store: %s is the lab's own proxy", u)
		}
	}
	return urls, nil
}

// isProxy reports whether a URL is that of the lab's proxy, by any name of this host.
func isProxy(l plan.Lab, address string) bool {
	u, err := url.Parse(address)
	own, err2 := url.Parse(l.Proxy())
	if err != nil || err2 != nil {
		return false
	}
	port, err := strconv.Atoi(u.Port()) // 09070 is 9070
	if err != nil || strconv.Itoa(port) != own.Port() {
		return false
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback() || ip.Unmap().IsUnspecified() // a call to 0.0.0.0 reaches loopback
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// database checks the form of -db; the album store checks the rest.
func (f *flags) database() (string, error) {
	path, isFile := strings.CutPrefix(f.db, "sqlite:")
	switch {
	case f.db == "", f.db == "memory", strings.HasPrefix(f.db, "postgres://"), strings.HasPrefix(f.db, "postgresql://"):
		return f.db, nil
	case isFile && path != "":
		path, err := filepath.Abs(path)
		return "sqlite:" + path, err
	}
	return "", f.Errorf("-db must be memory, sqlite:PATH or postgres://…")
}

// ownState is the state folder if none is named.
func ownState(root string) string { return filepath.Join(root, ".lab") }

// folders returns the repository and the state folder.
func (f *flags) folders() (root, state string, err error) {
	if root, err = build.Repository(); err != nil {
		return "", "", err
	}
	if state = f.state; state == "" {
		state = ownState(root)
	}
	state, err = filepath.Abs(state)
	return root, state, err
}

// lab returns the lab that the flags name. Its paths are absolute.
func (f *flags) lab() (plan.Lab, *build.Builder, error) {
	if f.offset < 0 || f.offset > plan.MaxOffset {
		return plan.Lab{}, nil, f.Errorf("-port-offset %d is out of range: 0 to %d", f.offset, plan.MaxOffset)
	}
	db, err := f.database()
	if err != nil {
		return plan.Lab{}, nil, err
	}
	root, state, err := f.folders()
	if err != nil {
		return plan.Lab{}, nil, err
	}
	l := plan.Lab{Root: root, State: state, Offset: f.offset, DB: db, OTLPEverywhere: f.otlp, Grafana: f.grafana}
	if l.Stores, err = f.stores(l); err != nil {
		return plan.Lab{}, nil, err
	}
	if l.UserServices, err = f.services(l); err != nil {
		return plan.Lab{}, nil, err
	}
	// All labs of a repository share the binaries.
	return l, &build.Builder{Root: root, Bin: filepath.Join(ownState(root), "bin"), Logs: l.Logs()}, nil
}
