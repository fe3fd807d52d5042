// Package options are the flags that commands share: what to send, where to, and when.
package options

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/retry"
	"soundcheck/loadgen/slo"
	"soundcheck/loadgen/workload"
)

// maxWorkers is the limit of -workers and -max-workers.
const maxWorkers = 65536

// objectives is the value of -slo. SLOs of the command line replace those of the environment.
type objectives struct {
	list     []slo.Objective
	defaults bool // from the environment
}

func (o *objectives) String() string {
	var texts []string
	for _, s := range o.list {
		texts = append(texts, s.String())
	}
	return strings.Join(texts, ",")
}

// Set adds SLOs, separated by commas.
func (o *objectives) Set(s string) error {
	if o.defaults {
		o.list, o.defaults = nil, false
	}
	list, err := slo.ParseList(s)
	o.list = append(o.list, list...)
	return err
}

// Default implements cli.Defaulter.
func (o *objectives) Default() { o.defaults = true }

// Flags are the flags of the workload and the target, for all commands that send.
type Flags struct {
	*cli.Flags
	Config engine.Config
	request
	slos  objectives
	mix   string
	retry string
	flow  string

	contract contractFlags

	words []string        // arguments
	paths bool            // they may be a path
	stdin io.Reader       // for -targets -
	given map[string]bool // flags of the command line, after parsing

	Streams     bool   // targets may be sent while they are read
	Elsewhere   bool   // the requests are sent from elsewhere, where files and the default of -url differ
	each        bool   // -each-once
	targetCount uint64 // 0: unknown

	contents map[string]*bytes.Buffer // of files that were read, by flag, if Elsewhere is set
}

// New returns the flags of a command that sends to one service.
func New(usage, prefix, about string) *Flags {
	f := NewRequest(usage, prefix, about)
	f.StringVar(&f.Config.URL, "url", "http://127.0.0.1:9070", "base `URL` of the service")
	f.paths = false
	f.StringVar(&f.targets, "targets", "", "`file` of requests in vegeta's HTTP or JSON format, - for stdin; replaces -mix, -url")
	return f
}

// NewRequest returns the flags without those of the target.
func NewRequest(usage, prefix, about string) *Flags {
	f := &Flags{Flags: cli.NewFlags(usage, prefix, about), stdin: os.Stdin, paths: true}
	f.request.define(f)
	f.contract.define(f)
	f.StringVar(&f.mix, "mix", "get=70,list=20,create=10", "scenario `weights` (0 to 1000): "+strings.Join(workload.Names(), ", "))
	f.DurationVar(&f.Config.Timeout, "timeout", 10*time.Second, "timeout per request, including its retries (1ms to 10m)")
	f.IntVar(&f.Config.MaxWorkers, "max-workers", 1024, "max concurrent `requests`, or users of -flow, of each process (1 to 65536)")
	f.Uint64Var(&f.Config.Seed, "seed", 1, "random `seed` of arrivals, request order and generated values")
	f.StringVar(&f.retry, "retry", string(retry.None), "retry `policy`, max 3 retries: none, honour (at Retry-After) or naive (immediately)")
	f.Float64Var(&f.Config.TraceSample, "trace-sample", 1, "sampled `share` of traces (0 to 1); 1: as set by OTEL_TRACES_SAMPLER, else all")
	f.Config.Connect.Define(f.Flags)
	f.Var(&f.slos, "slo", "`SLO`, as in p99<250ms, p99(get)<50ms or good>99.9%; repeatable")
	return f
}

// Parse parses the flags and checks the common ones.
func (f *Flags) Parse(args []string, getenv func(string) string, stdout io.Writer) error {
	words, err := f.ParseMixed(args, getenv, stdout)
	if err != nil {
		return err
	}
	f.given = map[string]bool{}
	f.Visit(func(fl *flag.Flag) { f.given[fl.Name] = true })
	f.Config.SLOs = f.slos.list
	f.Config.Retry = retry.Policy(f.retry)
	c := &f.Config
	switch {
	case c.Timeout < time.Millisecond || c.Timeout > 10*time.Minute:
		return f.Errorf("-timeout %s is out of range: 1ms to 10m", c.Timeout)
	case c.MaxWorkers < 1 || c.MaxWorkers > maxWorkers:
		return f.Errorf("-max-workers %d is out of range: 1 to %d", c.MaxWorkers, maxWorkers)
	case c.Retry != retry.None && c.Retry != retry.Honour && c.Retry != retry.Naive:
		return f.Errorf("-retry %q is not none, honour or naive", f.retry)
	case !(c.TraceSample >= 0 && c.TraceSample <= 1):
		return f.Errorf("-trace-sample %g is out of range: 0 to 1", c.TraceSample)
	}
	if err := c.Connect.Check(); err != nil {
		return f.Errorf("%v", err)
	}
	if f.Lookup("url") != nil {
		if err := f.CheckURL("url", &c.URL); err != nil {
			return err
		}
	}
	if f.contract.file == "" {
		if c.Mix, err = workload.ParseMix(f.mix); err != nil {
			return f.Errorf("-mix: %v", err)
		}
	}
	if err := f.readWords(words); err != nil || f.given["join"] { // the coordinator has the workload
		return err
	}
	if err := f.readRequest(); err != nil {
		return err
	}
	return f.checkVersions()
}

// checkVersions returns an error if a URL does not fit the version of HTTP.
func (f *Flags) checkVersions() error {
	c := &f.Config
	for _, t := range c.Targets {
		if strings.HasPrefix(t.URL, "/") {
			continue
		}
		if err := c.Connect.CheckURL(t.URL); err != nil {
			return f.Errorf("%s: %v", cli.WithoutPassword(t.URL), err)
		}
	}
	replay := f.Lookup("replay") // may have full URLs
	if len(c.Targets) > 0 || c.Stream != nil || c.Flow != nil && c.URL == f.flow || f.Lookup("url") == nil || replay != nil && replay.Value.String() != "" {
		return nil
	}
	return f.CheckVersion("url", c.URL)
}

// CheckScenarios returns an error if an SLO or an expected status is of a scenario outside the workload.
func (f *Flags) CheckScenarios() error {
	names := f.Config.Scenarios()
	check := func(what, name string, names []string) error {
		if name == "" || slices.Contains(names, name) {
			return nil
		}
		return f.Errorf("%s: scenario %s is not in the workload, which has %s", what, name, listed(names))
	}
	for name := range f.Config.Expect {
		if err := check("-expect "+name, name, names); err != nil {
			return err
		}
	}
	if f.Config.Flow != nil { // SLOs are of the whole flow too
		names = append(names, f.Config.Flow.Name)
	}
	for _, s := range f.Config.SLOs {
		if err := check("-slo "+s.String(), s.Scenario(), names); err != nil {
			return err
		}
	}
	return nil
}

// listed are the names of scenarios in a message.
func listed(names []string) string {
	const shown = 20
	names = slices.Sorted(slices.Values(names))
	if more := len(names) - shown; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), more)
	}
	return strings.Join(names, ", ")
}

// Given reports whether a flag is on the command line.
func (f *Flags) Given(name string) bool { return f.given[name] }

// Besides returns a flag of the command line that is not one of names; "": there is none.
func (f *Flags) Besides(names ...string) string {
	for _, name := range slices.Sorted(maps.Keys(f.given)) {
		if !slices.Contains(names, name) {
			return name
		}
	}
	return ""
}

// CheckURL checks the value of a flag, a base URL, and removes a slash at its end.
func (f *Flags) CheckURL(name string, url *string) error {
	if _, err := cli.ParseURL(*url); err != nil {
		return f.Errorf("-%s: %v", name, err)
	}
	*url = strings.TrimSuffix(*url, "/")
	return nil
}

// CheckVersion returns an error if a target's URL does not fit the version of HTTP.
func (f *Flags) CheckVersion(name, url string) error {
	if err := f.Config.Connect.CheckURL(url); err != nil {
		return f.Errorf("-%s %s: %v", name, url, err)
	}
	return nil
}

// only returns an error if a flag is set that has no effect together with another.
func (f *Flags) only(other string, names ...string) error {
	for _, name := range names {
		if f.given[name] {
			return f.Errorf("-%s and %s do not go together", name, other)
		}
	}
	return nil
}
