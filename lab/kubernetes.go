package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"

	"soundcheck/internal/cli"
	"soundcheck/lab/kube"
	"soundcheck/lab/plan"
)

// forwarded are the URLs of a release's forwarded ports.
type forwarded map[string]string

// Proxy implements endpoints, as the others do.
func (f forwarded) Proxy() string      { return f[proxyName] }
func (f forwarded) Prometheus() string { return f["prometheus"] }
func (f forwarded) Jaeger() string     { return f["jaeger"] }
func (f forwarded) OTLP() string       { return f[collectorName] }

// kubernetes finds the release, and forwards the ports whose URL no flag sets. If all are set, only a
// flag that selects a release makes it look for one: its logs.
func (f *verifyFlags) kubernetes(ctx context.Context, missing bool) (endpoints, error) {
	if !missing && (f.kube == kube.Options{} || f.hasLogs()) {
		return forwarded{}, nil
	}
	r, err := kube.Find(ctx, f.kube)
	if err != nil {
		return nil, err
	}
	f.release = r
	r.Log = cli.NewProgress(os.Stderr).Line
	f.o.UpHint = "are its pods ready? (kubectl get pods --namespace " + r.Namespace + ")"
	var mu sync.Mutex
	var running sync.WaitGroup
	urls, errs := forwarded{}, map[string]error{}
	ports := []struct {
		component, flag string
		port            int
		url             string
	}{
		{proxyName, "proxy", plan.ProxyPort, f.o.Proxy},
		{"prometheus", "prometheus", plan.PrometheusPort, f.o.Prometheus},
		{"jaeger", "jaeger", plan.TracesPort, f.o.Jaeger},
		{collectorName, "otlp", plan.OTLPHTTPPort, f.otlp},
	}
	for _, p := range ports {
		if p.url == "" && !r.Has(p.component) {
			return nil, fmt.Errorf("release %s in namespace %s has no %s: set -%s", r.Name, r.Namespace, p.component, p.flag)
		}
	}
	for _, p := range ports {
		if p.url != "" {
			continue
		}
		running.Go(func() {
			address, err := r.Forward(ctx, p.component, p.port)
			mu.Lock()
			defer mu.Unlock()
			urls[p.component], errs[p.component] = "http://"+address, err
		})
	}
	running.Wait()
	for _, p := range ports {
		if err := errs[p.component]; err != nil {
			return nil, err
		}
	}
	return urls, nil
}

// hasLogs reports whether the folder -logs has all logs.
func (f *verifyFlags) hasLogs() bool {
	return !slices.ContainsFunc([]string{proxyName + ".log", plan.StoreName + ".log", "otlp.jsonl"}, func(name string) bool { return f.inFolder(name) == "" })
}

// ofPods adds the logs of the release's pods, where -logs has none.
func (f *verifyFlags) ofPods(ctx context.Context) error {
	names := map[string][]string{}
	for _, service := range []string{proxyName, plan.StoreName} {
		if f.release.Has(service) {
			names[service] = []string{service}
			if f.inFolder(service+".log") == "" {
				f.release.Follow(ctx, service)
			}
		}
	}
	db, err := f.release.Env(ctx, plan.StoreName, "SOUNDCHECK_STORE_DB")
	if err != nil {
		return err
	}
	f.o.InMemory = db == "memory"
	if f.inFolder("otlp.jsonl") == "" {
		names[collectorName], err = f.release.Pods(ctx, collectorName)
		if err == nil && len(names[collectorName]) == 0 {
			err = fmt.Errorf("no pod of %s runs: %s", collectorName, f.o.UpHint)
		}
		if err != nil {
			return fmt.Errorf("log records of the Collector: %w", err)
		}
	}
	f.ofContainers(ctx, f.release, names)
	return nil
}

// close ends what was started for the release.
func (f *verifyFlags) close() {
	if f.release != nil {
		f.release.Close()
	}
}
