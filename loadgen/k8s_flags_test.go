package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/kubernetes"
	"soundcheck/loadgen/kubernetes/kubetest"
	"soundcheck/loadgen/remote"
)

// The coordinator in the cluster gets what differs from the defaults, and makes the same plan of it as the
// command would here.
func TestK8sArguments(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"f.yaml": "steps: [{name: a, get: /}]"})
	for name, tc := range map[string]struct {
		args, env, want string // want: without those that all have
	}{
		"none":                        {"", "", ""},
		"a rate":                      {"-rate 600/1m -duration 2m", "", "-duration=2m0s -rate=10"},
		"stages":                      {"-stages 10s@0..200,30s@200,5s@500", "", "-stages=10s@0..200,30s@200,5s@500"},
		"SLOs":                        {"-slo p99<250ms,good>99.9% -slo p99(get)<50ms -abort-on-slo", "", "-abort-on-slo=true -slo=p99<250ms,good>99.9%,p99(get)<50ms"},
		"a mix":                       {"-mix get=90,create=10 -seed 7 -retry honour -arrivals poisson", "", "-arrivals=poisson -mix=get=90,create=10 -retry=honour -seed=7"},
		"limits":                      {"-max-workers 8 -timeout 500ms -trace-sample 0.01 -warmup 1s", "", "-max-workers=8 -timeout=500ms -trace-sample=0.01 -warmup=1s"},
		"a number":                    {"-n 10000", "", "-duration=1m40s -n=10000"},
		"a number, a default":         {"-n 10000 -duration 30s", "", "-duration=30s -n=10000"},
		"connections":                 {"-h2c -resolve a:1:127.0.0.1 -resolve b:2:::1 -follow-redirects 3 -cookie-jar", "INSECURE=true NO_KEEPALIVE=true", "-cookie-jar=true -follow-redirects=3 -h2c=true -insecure=true -no-keepalive=true -resolve=a:1:127.0.0.1,b:2:::1"},
		"local":                       {"-format json -keep= -quiet -wait 1m -image x -values v.yaml -set a=b", "", ""},
		"environment":                 {"", "RATE=50 SLO=p99<1s MIX=get=1", "-mix=get=1 -rate=50 -slo=p99<1s"},
		"environment, other SLO":      {"-slo good>9%", "SLO=p99<1s", "-slo=good>9%"},
		"environment, other stages":   {"-stages 10s@5", "RATE=50 DURATION=1m", "-stages=10s@5"},
		"environment, other rate":     {"-rate 50", "STAGES=10s@5", "-rate=50"},
		"environment, other number":   {"-n 50", "DURATION=1m RATE=10", "-duration=5s -n=50 -rate=10"},
		"environment, other warm-up":  {"-warmup 0s", "WARMUP=5s", "-warmup=0s"},
		"environment, users":          {"-flow FLOW -users 9 -n 7", "RATE=50 DURATION=1m ARRIVALS=poisson MAX_WORKERS=8 MIX=get=1 COOKIE_JAR=true THINK=1s", "-duration=24h0m0s -flow=f.yaml -n=7 -think=1s -users=9"},
		"environment, other users":    {"-flow FLOW -rate 9", "USERS=7", "-flow=f.yaml -rate=9"},
		"environment, no flow":        {"-rate 50", "USERS=7 THINK=1s", "-rate=50"},
		"environment of local things": {"", "FORMAT=json QUIET=true WORKERS=3", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{}
			for _, set := range strings.Fields(tc.env) {
				name, value, _ := strings.Cut(set, "=")
				env[prefix+"_"+name] = value
			}
			d := &distribution{k8s: &kubernetes.Flags{}}
			here, o, err := parseAttack(append([]string{"-workers", "2"}, strings.Fields(strings.Replace(tc.args, "FLOW", dir+"/f.yaml", 1))...), func(name string) string { return env[name] }, io.Discard, d)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(d.args)
			if got := strings.Join(d.args, " "); got != tc.want {
				t.Errorf("arguments %s, want %s", got, tc.want)
			}
			there, p, err := parseAttack(append([]string{"-workers=2"}, inFolder(d.args, d.files, dir)...), func(string) string { return "" }, io.Discard, &distribution{})
			if err != nil {
				t.Fatal(err)
			}
			if a, b := remote.Of(here), remote.Of(there); !reflect.DeepEqual(a, b) || o.abort != p.abort {
				t.Errorf("the coordinator has %+v, abort %t\nwant %+v, %t", b, p.abort, a, o.abort)
			}
		})
	}
}

// The coordinator in the cluster gets a URL argument, and secrets in its environment.
func TestK8sURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args, env string // of the environment: names of variables
		want      string
	}{
		{"http://a/b?c=d -H X:y", "SOUNDCHECK_LOADGEN_H", "-wait=5m0s -rate=5 -explain=false http://a/b?c=d"},
		{"http://me:pw@a/b -H A:b -H C:d -method PATCH -body text -expect 2xx", "SOUNDCHECK_LOADGEN_BODY SOUNDCHECK_LOADGEN_H", "-wait=5m0s -expect=2xx -method=PATCH -rate=5 -explain=false http://a/b"},
		{"-mix get=1 -url http://a -basic-auth me:pw -H A:b -expect get=200,404 -user-agent u -baggage a=b", "SOUNDCHECK_LOADGEN_BASIC_AUTH SOUNDCHECK_LOADGEN_H",
			"-url=http://a -wait=5m0s -baggage=a=b -expect=get=200,404 -mix=get=1 -rate=5 -user-agent=u -explain=false"},
	} {
		d := &distribution{k8s: &kubernetes.Flags{}}
		here, _, err := parseAttack(append([]string{"-workers", "2", "-rate", "5"}, strings.Fields(tt.args)...), func(string) string { return "" }, io.Discard, d)
		if err != nil || !d.urlSet {
			t.Fatal(err, d.urlSet)
		}
		b, err := d.chartValues(here, false, kubernetes.Lab{})
		var v struct {
			Args      []string          `json:"args"`
			SecretEnv map[string]string `json:"secretEnv"`
		}
		if err = errors.Join(err, json.Unmarshal(b, &v)); err != nil {
			t.Fatal(err)
		}
		if got, env := strings.Join(v.Args, " "), strings.Join(slices.Sorted(maps.Keys(v.SecretEnv)), " "); got != tt.want || env != tt.env {
			t.Errorf("%s: arguments %s, environment %s, want %s, %s", tt.args, got, env, tt.want, tt.env)
		}
		there, _, err := parseAttack(append([]string{"-workers=2"}, v.Args...), func(name string) string { return v.SecretEnv[name] }, io.Discard, &distribution{})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := remote.Of(here), remote.Of(there); !reflect.DeepEqual(a, b) {
			t.Errorf("%s: the coordinator has %+v, want %+v", tt.args, b, a)
		}
	}
}

// Neither the coordinator nor the Jobs end before the users of a flow may.
func TestExtent(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"f.yaml": "steps: [{name: a, get: /, think: 75s}]"})
	d := &distribution{k8s: &kubernetes.Flags{}}
	c, _, err := parseAttack(strings.Fields("-workers 2 -rate 100 -n 4 -duration 5m -timeout 1s -wait 1m -flow "+dir+"/f.yaml"), func(string) string { return "" }, io.Discard, d)
	if err != nil {
		t.Fatal(err)
	}
	const want = 5*time.Minute + engine.Grace + time.Second
	if o := d.options(c); o.Extent != want || o.Timeout != time.Second || d.longest(c, false) <= want+time.Minute {
		t.Errorf("the coordinator waits %s, %s after an early end, and the Jobs %s; want %s", o.Extent, o.Timeout, d.longest(c, false), want)
	}
}

// Of a capacity search, too.
func TestK8sCapacityArguments(t *testing.T) {
	t.Parallel()
	env := map[string]string{prefix + "_CAPACITY_STEP": "20s"}
	d := &distribution{k8s: &kubernetes.Flags{}}
	_, _, err := parseCapacity(strings.Fields("-workers 4 -slo p99<1s -from 100 -to 400000 -precision 0.1 -warmup 2s -format json -quiet"), func(name string) string { return env[name] }, io.Discard, d)
	slices.Sort(d.args)
	const want = "[-from=100 -precision=0.1 -slo=p99<1s -step=20s -to=400000 -warmup=2s]"
	if err != nil || fmt.Sprint(d.args) != want {
		t.Errorf("%s, want %s, %v", d.args, want, err)
	}
	if _, _, err := parseCapacity(append([]string{"-workers=4"}, d.args...), func(string) string { return "" }, io.Discard, &distribution{}); err != nil {
		t.Error(err)
	}
}

// The values of the chart, of what the lab and the flags say.
func TestK8sValues(t *testing.T) {
	t.Parallel()
	lab := map[string]string{"image": "lab:1", "url": "http://proxy:9070", "jaeger": "http://jaeger:16686", "otlp": "http://collector:4318"}
	for name, tc := range map[string]struct {
		args string
		lab  map[string]string // nil: no lab
		want string
	}{
		"a lab":         {"", lab, "[-url=http://proxy:9070 -wait=5m0s -jaeger=http://jaeger:16686] http://collector:4318 lab 1 in labs"},
		"other":         {"-url http://x -jaeger http://j -image own/x:2 -wait 1m", lab, "[-url=http://x -wait=1m0s -jaeger=http://j] http://collector:4318 own/x 2 in labs"},
		"no traces":     {"-explain=false", lab, "[-url=http://proxy:9070 -wait=5m0s -explain=false] http://collector:4318 lab 1 in labs"},
		"lab, no load":  {"-namespace labs -image i -url http://x", map[string]string{}, "[-url=http://x -wait=5m0s -explain=false]  i  in labs"},
		"dollars":       {"-url http://x/$(NAME)$$a/$.b", lab, "[-url=http://x/$$(NAME)$$$$a/$$.b -wait=5m0s -jaeger=http://jaeger:16686] http://collector:4318 lab 1 in labs"},
		"no lab":        {"-image i -url http://x", nil, "[-url=http://x -wait=5m0s -explain=false]  i  in mine"},
		"no lab, named": {"-image i -url http://x -namespace b", nil, "[-url=http://x -wait=5m0s -explain=false]  i  in b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := kubetest.New(t)
			if tc.lab != nil {
				c.Lab("labs", tc.lab)
			}
			d := &distribution{k8s: &kubernetes.Flags{}}
			cfg, _, err := parseAttack(append([]string{"-workers", "2", "-context", c.Context}, strings.Fields(tc.args)...), func(string) string { return "" }, io.Discard, d)
			if err != nil {
				t.Fatal(err)
			}
			found, err := d.findLab(t.Context(), &cfg, cli.NewProgress(io.Discard))
			if err != nil {
				t.Fatal(err)
			}
			b, err := d.chartValues(cfg, false, found)
			var v installed
			if err = errors.Join(err, json.Unmarshal(b, &v)); err != nil {
				t.Fatal(err)
			}
			v.Args = slices.DeleteFunc(v.Args, func(a string) bool { return slices.Contains(d.args, a) })
			got := fmt.Sprintf("%s %s %s %s in %s", v.Args, v.OTLP.Endpoint, v.Image.Repository, v.Image.Tag, d.k8s.Options.Namespace)
			if got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

// What ends the command before anything is installed.
func TestK8sErrors(t *testing.T) {
	t.Parallel()
	stored := t.TempDir()
	if err := os.WriteFile(filepath.Join(stored, "report.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	full := map[string]string{"image": "i", "url": "http://x"}
	for name, tc := range map[string]struct {
		prepare func(c *kubetest.Cluster)
		args    string
		code    int
		want    string
	}{
		"no workers":     {nil, "-workers 0", 2, "loadgen: -workers is required: 1 to 1000\n"},
		"closed model":   {nil, "-rate 0", 2, "loadgen: -rate 0 (closed model) is for one process"},
		"a file":         {nil, "-targets x", 1, "loadgen: -targets: open x: no such file"},
		"an unknown set": {nil, "-shard 1/2", 2, "loadgen: flag provided but not defined: -shard"},
		"no lab":         {nil, "", 1, "loadgen: no release of the chart soundcheck in any namespace of context CONTEXT: install it (make k8s-up), or select one with -namespace, -release, -context\nwithout a lab in the cluster, set -image and -url\n"},
		"no lab, URL":    {nil, "-url http://x", 1, "loadgen: no release of the chart soundcheck in any namespace"},
		"an older lab":   {func(c *kubetest.Cluster) { c.Lab("labs", nil) }, "", 1, "loadgen: release lab in namespace labs is of an older chart, without defaults for load: upgrade it (make k8s-up), or set -image and -url"},
		"lab, no image":  {func(c *kubetest.Cluster) { c.Lab("labs", map[string]string{"url": "http://x"}) }, "", 1, "loadgen: the lab in the cluster has no proxy or no image of loadgen: set -image and -url\n"},
		"lab, no proxy":  {func(c *kubetest.Cluster) { c.Lab("labs", map[string]string{"image": "x"}) }, "", 1, "loadgen: the lab in the cluster has no proxy or no image of loadgen: set -image and -url\n"},
		"a stored run":   {func(c *kubetest.Cluster) { c.Lab("labs", full) }, "-out " + stored, 1, "loadgen: -out: " + stored + " already contains a run\n"},
		"forbidden": {func(c *kubetest.Cluster) {
			c.Write("fail kubectl get services", `Error from server (Forbidden): services is forbidden: User "me" cannot list`)
		}, "", 1, "loadgen: no permission (kubectl get services): "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := kubetest.New(t)
			if tc.prepare != nil {
				tc.prepare(c)
			}
			stdout, stderr, code := loadgen(t.Context(), append([]string{"k8s", "-context", c.Context, "-workers", "2"}, strings.Fields(tc.args)...)...)
			want := strings.ReplaceAll(tc.want, "CONTEXT", c.Context)
			if code != tc.code || !strings.HasPrefix(stderr, want) || stdout != "" || len(c.Calls("helm")) > 0 {
				t.Errorf("exit code %d, %q, %q, calls %q; want %d, %s", code, stderr, stdout, c.Calls("helm"), tc.code, want)
			}
		})
	}
}

// Programs that are not installed.
func TestK8sPrograms(t *testing.T) {
	c := newLab(t, "http://x")
	for program, want := range map[string]string{
		"helm":    "loadgen: kubectl command not found: install it (https://kubernetes.io/docs/tasks/tools)\n",
		"kubectl": "loadgen: helm command not found: install it (https://helm.sh/docs/intro/install)\n",
	} {
		kubetest.Only(t, program)
		if _, stderr, code := loadgen(t.Context(), "k8s", "-context", c.Context, "-workers", "2"); code != 1 || stderr != want {
			t.Errorf("%s alone: exit code %d, %q, want %q", program, code, stderr, want)
		}
	}
}
