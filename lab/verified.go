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

	"soundcheck/internal/albumhttp"
	"soundcheck/lab/containers"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
	"soundcheck/lab/verify"
)

// known are the addresses of a lab.
type known interface {
	Proxy() string
	Prometheus() string
	Jaeger() string
	OTLP() string
}

// composeLab is a lab in containers.
type composeLab interface {
	known
	verify.Compose
	Store() string
	Services() []string
}

// composeOpener is containers.Open.
type composeOpener func(ctx context.Context, root, state string, offset int, onlyStore bool) (composeLab, error)

// proxyName is the proxy's service.name, and what it is called in a compose file.
const proxyName = "proxy-service"

func openCompose(ctx context.Context, root, state string, offset int, onlyStore bool) (composeLab, error) {
	return containers.Open(ctx, root, state, offset, onlyStore, func(string) {})
}

// address is a flag's URL.
type address struct {
	flag  string
	url   *string
	known func(known) string
}

func (f *verifyFlags) addresses() []address {
	return []address{
		{"proxy", &f.o.Proxy, known.Proxy}, {"prometheus", &f.o.Prometheus, known.Prometheus},
		{"jaeger", &f.o.Jaeger, known.Jaeger}, {"otlp", &f.otlp, known.OTLP},
	}
}

// find finds the lab that is to be verified. What is known of it and was not given is
// filled in, and all is checked.
func (f *verifyFlags) find(ctx context.Context, l plan.Lab, open composeOpener) error {
	missing := ""
	for _, a := range f.addresses() {
		if *a.url == "" {
			missing += " -" + a.flag
		} else if _, err := albumhttp.NewClient(*a.url, albumhttp.ClientOptions{}); err != nil {
			return f.Errorf("-%s: %v", a.flag, err)
		}
		*a.url = strings.TrimSuffix(*a.url, "/")
	}
	var lab known
	var err error
	switch {
	case f.o.Environment == "native":
		lab, err = f.native(ctx, l, missing != "", open)
	case f.o.Environment == "compose":
		lab, err = f.containers(ctx, l, missing, open)
	case missing != "":
		err = f.Errorf("-env %s needs%s", f.o.Environment, missing)
	}
	if err != nil {
		return err
	}
	for _, a := range f.addresses() {
		if *a.url == "" {
			*a.url = a.known(lab)
		}
	}
	f.o.Generator.Proxy, f.o.Generator.OTLP = f.o.Proxy, f.otlp
	return nil
}

// native finds the native lab, which knows its ports itself. If nothing is missing it need
// not run.
func (f *verifyFlags) native(ctx context.Context, l plan.Lab, missing bool, open composeOpener) (known, error) {
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
		return nil, fmt.Errorf("the lab in %s runs with -port-offset %d and not %d: name another one by its -state", l.State, st.PortOffset, f.offset)
	}
	l.Offset = st.PortOffset
	f.storesOf(ctx, st, l, open)
	return l, nil
}

// storesOf notes where the stores of a native lab are, and the container if one of them is
// in it. Those of a lab whose proxy is not the one that is asked are somebody else's.
func (f *verifyFlags) storesOf(ctx context.Context, st supervisor.Status, l plan.Lab, open composeOpener) {
	l.Offset = st.PortOffset
	if f.o.Proxy != "" && !isProxy(l, f.o.Proxy) {
		return
	}
	if f.stores = st.Stores; len(f.stores) != 1 {
		return
	}
	if p, err := open(ctx, l.Root, l.State, st.PortOffset, true); err == nil && f.stores[0] == p.Store() {
		f.store = p
	}
}

// instead says that there is a lab in containers, if it answers.
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
	if l.State != ownState(l.Root) {
		command += " -state " + l.State
	}
	return fmt.Sprintf("; the one in containers runs, with its proxy at %s: verify that with %s", p.Proxy(), command)
}

// containers finds the lab in containers. If nothing is missing it may run on another
// machine.
func (f *verifyFlags) containers(ctx context.Context, l plan.Lab, missing string, open composeOpener) (known, error) {
	p, err := open(ctx, l.Root, l.State, l.Offset, false)
	switch {
	case err != nil && missing == "":
		return nil, nil
	case errors.Is(err, containers.ErrNone):
		return nil, fmt.Errorf("%w, or name another machine's with%s", err, missing)
	case err != nil:
		return nil, err
	}
	// Behind another proxy there are other logs.
	if f.o.Proxy == "" || f.o.Proxy == p.Proxy() {
		f.compose = p
	}
	return p, nil
}

// sources are the logs that can be asked, from now on.
func (f *verifyFlags) sources(ctx context.Context, l plan.Lab) {
	f.o.StoreElsewhere = len(f.stores) > 0
	switch {
	case f.compose != nil:
		f.ofContainers(ctx)
	case f.logs != "":
		f.ofFolder(f.logs, "")
	case f.o.Environment == "native" && f.o.StoreElsewhere:
		f.ofFolder(l.Logs(), "the album store runs elsewhere, at "+strings.Join(f.stores, ", ")+": -logs names a folder that has its log")
	case f.o.Environment == "native":
		f.ofFolder(l.Logs(), "")
	default:
		f.o.NoLogs = []verify.NoLog{{Why: "-logs names no folder, and of -env " + f.o.Environment + " at " + f.o.Proxy + " none is known"}}
	}
}

// ofFolder takes the files of a folder. Storeless says why that of the store is not there.
func (f *verifyFlags) ofFolder(dir, storeless string) {
	file := func(service string) verify.LogSource {
		return verify.ServiceLog(service, filepath.Join(dir, service+".log"))
	}
	f.o.Logs = []verify.LogSource{file(proxyName)}
	switch {
	case storeless == "":
		f.o.Logs = append(f.o.Logs, file(plan.StoreName))
	case f.store != nil:
		f.o.Logs = append(f.o.Logs, verify.ContainerLog(f.store, plan.StoreName, storesIn(f.store)...))
	default:
		f.o.NoLogs = []verify.NoLog{{Log: plan.StoreName + ".log", Why: storeless}}
	}
	f.o.Logs = append(f.o.Logs, verify.CollectorLog(filepath.Join(dir, "otlp.jsonl")))
}

// storesIn returns the names of the stores' containers.
func storesIn(c composeLab) []string {
	return slices.DeleteFunc(slices.Sorted(slices.Values(c.Services())), func(name string) bool { return !strings.HasPrefix(name, plan.StoreName) })
}

// ofContainers asks docker compose for what is not in a folder that was named.
func (f *verifyFlags) ofContainers(ctx context.Context) {
	inFolder := func(name string) string {
		path := filepath.Join(f.logs, name)
		if _, err := os.Stat(path); f.logs == "" || err != nil {
			return ""
		}
		return path
	}
	stores := storesIn(f.compose)
	f.o.StoreElsewhere = len(stores) == 0
	for _, of := range []struct {
		service string
		names   []string
	}{{proxyName, []string{proxyName}}, {plan.StoreName, stores}} {
		if path := inFolder(of.service + ".log"); path != "" {
			f.o.Logs = append(f.o.Logs, verify.ServiceLog(of.service, path))
		} else if len(of.names) > 0 {
			f.o.Logs = append(f.o.Logs, verify.ContainerLog(f.compose, of.service, of.names...))
		} else {
			f.o.NoLogs = append(f.o.NoLogs, verify.NoLog{Log: of.service, Why: "it runs in no container: name a folder that has its " + of.service + ".log with -logs"})
		}
	}
	if path := inFolder("otlp.jsonl"); path != "" {
		f.o.Logs = append(f.o.Logs, verify.CollectorLog(path))
	} else {
		f.o.Logs = append(f.o.Logs, verify.ContainerRecords(ctx, f.compose))
	}
}
