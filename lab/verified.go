package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/lab/containers"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
	"soundcheck/lab/verify"
)

// endpoints are the URLs of a lab.
type endpoints interface {
	Proxy() string
	Prometheus() string
	Jaeger() string
	OTLP() string
}

// composeLab is a lab in containers.
type composeLab interface {
	endpoints
	verify.Containers // after FindCompose
	FindCompose(ctx context.Context, log func(string)) error
	Store() string
	Services() []string
}

// composeOpener is containers.Find.
type composeOpener func(ctx context.Context, root, state string, offset int, onlyStore bool) (composeLab, error)

// proxyName is the proxy's service.name, and what it is called in a compose file.
const proxyName = "proxy-service"

func openCompose(ctx context.Context, root, state string, offset int, onlyStore bool) (composeLab, error) {
	return containers.Find(ctx, root, state, offset, onlyStore)
}

// address is a flag's URL.
type address struct {
	flag string
	url  *string
	of   func(endpoints) string
}

func (f *verifyFlags) addresses() []address {
	return []address{
		{"proxy", &f.o.Proxy, endpoints.Proxy}, {"prometheus", &f.o.Prometheus, endpoints.Prometheus},
		{"jaeger", &f.o.Jaeger, endpoints.Jaeger}, {"otlp", &f.otlp, endpoints.OTLP},
	}
}

// find finds the lab to verify. It fills in the URLs that no flag sets, and checks
// all of them.
func (f *verifyFlags) find(ctx context.Context, l plan.Lab, open composeOpener) error {
	missing := ""
	for _, a := range f.addresses() {
		if *a.url == "" {
			missing += " -" + a.flag
		} else if _, err := cli.ParseURL(*a.url); err != nil {
			return f.Errorf("-%s: %v", a.flag, err)
		}
		*a.url = strings.TrimSuffix(*a.url, "/")
	}
	var lab endpoints
	var err error
	switch {
	case f.o.Environment == "native":
		lab, err = f.native(ctx, l, missing != "", open)
	case f.o.Environment == "compose":
		lab, err = f.containers(ctx, l, missing, open)
	default:
		lab, err = f.kubernetes(ctx, missing != "")
	}
	if err != nil {
		return err
	}
	for _, a := range f.addresses() {
		if *a.url == "" {
			*a.url = a.of(lab)
		}
	}
	f.o.Generator.Proxy, f.o.Generator.OTLP = f.o.Proxy, f.otlp
	for _, c := range []composeLab{f.compose, f.store} {
		if c == nil {
			continue
		}
		// Their logs are read with docker compose.
		if err := c.FindCompose(ctx, cli.NewProgress(os.Stderr).Line); err != nil {
			return err
		}
	}
	return nil
}

// native finds the native lab, whose supervisor reports its ports. If all URLs are set, the
// lab need not run.
func (f *verifyFlags) native(ctx context.Context, l plan.Lab, missing bool, open composeOpener) (endpoints, error) {
	client, st, err := supervisor.Connect(ctx, l.State)
	if !missing {
		if err == nil && client != nil {
			f.storesOf(ctx, st, l, open)
		}
		return l, nil
	}
	switch {
	case err != nil:
		return nil, err
	case client == nil:
		return nil, fmt.Errorf("the lab is not running in %s: start it with lab up%s", l.State, instead(ctx, l, open))
	case f.offset != 0 && f.offset != st.PortOffset:
		return nil, fmt.Errorf("the lab in %s runs with -port-offset %d, not %d: select another lab with -state", l.State, st.PortOffset, f.offset)
	}
	if st.Exercise != "" {
		return nil, fmt.Errorf("the exercise %s is active, and its load and its fault would be in the result: lab exercise stop ends it", st.Exercise)
	}
	l.Offset = st.PortOffset
	f.storesOf(ctx, st, l, open)
	return l, nil
}

// storesOf stores the programs of a native lab, the URLs of its external stores, and the container
// if one of them runs in it. It ignores a lab whose proxy is not the one under test.
func (f *verifyFlags) storesOf(ctx context.Context, st supervisor.Status, l plan.Lab, open composeOpener) {
	l.Offset = st.PortOffset
	if f.o.Proxy != "" && !isProxy(l, f.o.Proxy) {
		return
	}
	f.o.Programs = programs(st)
	f.o.InMemory = st.Database == "memory"
	if f.stores = st.Stores; len(f.stores) != 1 || f.logs != "" {
		return
	}
	if p, err := open(ctx, l.Root, l.State, st.PortOffset, true); err == nil && f.stores[0] == p.Store() {
		f.store = p
	}
}

// programs returns what the components of a native lab run.
func programs(st supervisor.Status) (list []verify.Program) {
	for _, c := range (plan.Lab{Grafana: true}).Components() {
		for _, p := range st.Components {
			if p.Name != c.Name {
				continue
			}
			v := verify.Program{Name: p.Name, Version: p.Version, From: p.From}
			if c.Program != nil {
				if err := c.Program.Check(p.Version); err != nil {
					v.Problem = err.Error()
				}
			}
			list = append(list, v)
		}
	}
	return list
}

// instead returns a hint about the lab in containers, if its proxy responds.
func instead(ctx context.Context, l plan.Lab, open composeOpener) string {
	p, err := open(ctx, l.Root, l.State, l.Offset, false)
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Proxy()+"/healthz", nil)
	if err != nil {
		return ""
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	resp.Body.Close()
	command := "lab verify -env compose"
	if l.Offset != 0 {
		command += fmt.Sprintf(" -port-offset %d", l.Offset)
	}
	return fmt.Sprintf("; a lab in containers is up, with its proxy at %s: verify it with %s", p.Proxy(), command+stateFlag(l))
}

// containers finds the lab in containers. If all URLs are set, it may run on another
// machine, and this one may have no Docker.
func (f *verifyFlags) containers(ctx context.Context, l plan.Lab, missing string, open composeOpener) (endpoints, error) {
	p, err := open(ctx, l.Root, l.State, l.Offset, false)
	switch {
	case missing == "" && (errors.Is(err, containers.ErrNone) || errors.As(err, new(containers.Unavailable))):
		if f.logs == "" {
			f.o.NoLogs = []verify.NoLog{{Why: f.noLocation() + " (" + err.Error() + ")"}}
		}
		return nil, nil
	case errors.Is(err, containers.ErrNone):
		return nil, fmt.Errorf("%w, or set the URLs of another machine's lab:%s", err, missing)
	case err != nil:
		return nil, err
	}
	// The logs are those of this lab only if the load goes through its proxy.
	if f.o.Proxy == "" || f.o.Proxy == p.Proxy() {
		f.compose = p
	}
	return p, nil
}

// sources sets the logs to check, from now on.
func (f *verifyFlags) sources(ctx context.Context, l plan.Lab) error {
	f.o.StoreElsewhere = len(f.stores) > 0
	switch {
	case f.release != nil:
		return f.ofPods(ctx)
	case f.compose != nil:
		stores := storesIn(f.compose)
		f.ofContainers(ctx, f.compose, map[string][]string{proxyName: {proxyName}, plan.StoreName: stores, collectorName: {collectorName}})
	case f.logs != "":
		f.ofFolder(f.logs, "")
	case f.o.Environment == "native" && f.o.StoreElsewhere:
		f.ofFolder(l.Logs(), "the album store is external, at "+strings.Join(f.stores, ", ")+": set -logs to a folder with its log")
	case f.o.Environment == "native":
		f.ofFolder(l.Logs(), "")
	case len(f.o.NoLogs) == 0: // else they have the error of docker
		f.o.NoLogs = []verify.NoLog{{Why: f.noLocation()}}
	}
	return nil
}

func (f *verifyFlags) noLocation() string {
	why := "no log location is known for -env " + f.o.Environment + " at " + f.o.Proxy + ": set -logs"
	if f.o.Environment == "k8s" {
		why += ", or -release to read the logs of its pods"
	}
	return why
}

// ofFolder adds the files of a folder. noStore is the reason if the store's log is not there.
func (f *verifyFlags) ofFolder(dir, noStore string) {
	file := func(service string) verify.LogSource {
		return verify.ServiceLog(service, filepath.Join(dir, service+".log"))
	}
	f.o.Logs = []verify.LogSource{file(proxyName)}
	switch {
	case noStore == "":
		f.o.Logs = append(f.o.Logs, file(plan.StoreName))
	case f.store != nil:
		f.o.Logs = append(f.o.Logs, verify.ContainerLog(f.store, plan.StoreName, storesIn(f.store)...))
	default:
		f.o.NoLogs = []verify.NoLog{{Log: plan.StoreName + ".log", Why: noStore}}
	}
	f.o.Logs = append(f.o.Logs, verify.CollectorLog(filepath.Join(dir, "otlp.jsonl")))
}

// storesIn returns the names of the stores' containers.
func storesIn(c composeLab) []string {
	return slices.DeleteFunc(slices.Sorted(slices.Values(c.Services())), func(name string) bool { return !strings.HasPrefix(name, plan.StoreName) })
}

// collectorName is what the Collector is called in a compose file, and on Kubernetes.
const collectorName = "otel-collector"

// inFolder returns the path of a file in the folder -logs; "" if there is none.
func (f *verifyFlags) inFolder(name string) string {
	path := filepath.Join(f.logs, name)
	if _, err := os.Stat(path); f.logs == "" || err != nil {
		return ""
	}
	return path
}

// ofContainers adds the logs of containers, where -logs has none. Names are those of each service's
// containers.
func (f *verifyFlags) ofContainers(ctx context.Context, c verify.Containers, names map[string][]string) {
	f.o.StoreElsewhere = len(names[plan.StoreName]) == 0
	for _, service := range []string{proxyName, plan.StoreName} {
		if path := f.inFolder(service + ".log"); path != "" {
			f.o.Logs = append(f.o.Logs, verify.ServiceLog(service, path))
		} else if of := names[service]; len(of) > 0 {
			f.o.Logs = append(f.o.Logs, verify.ContainerLog(c, service, of...))
		} else {
			f.o.NoLogs = append(f.o.NoLogs, verify.NoLog{Log: service, Why: "it runs in no container: set -logs to a folder with its " + service + ".log"})
		}
	}
	if path := f.inFolder("otlp.jsonl"); path != "" {
		f.o.Logs = append(f.o.Logs, verify.CollectorLog(path))
	} else {
		f.o.Logs = append(f.o.Logs, verify.ContainerRecords(ctx, c, names[collectorName]...))
	}
}
