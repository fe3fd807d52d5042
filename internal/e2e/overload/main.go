// Overload shows what the services do when more is asked of them than they can do,
// and what would become of them if they did not care. It starts an album store that
// is slowed down to a known capacity, and a proxy in front of it, loads them through
// the proxy, and prints tables:
//
//	go run ./internal/e2e/overload                       # all, some 12 minutes
//	go run ./internal/e2e/overload -show collapse -step 5s
//
// Nothing else should run meanwhile. Clients in it have no more patience than -patience: who was not answered by then
// is gone, and what was done for it was done for nothing.
package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/internal/e2e/services"
)

func main() { cli.Main("overload", run) }

// config is what the tables are about. The store's capacity is slots / delay. By
// default that is so little that two cores, which the clients share, can refuse ten
// times as much without being at their own end.
type config struct {
	show     []string
	step     time.Duration
	stall    time.Duration
	patience time.Duration
	slots    int
	delay    time.Duration
	stderr   io.Writer
}

// capacity is how many requests the store can answer in a second.
func (c config) capacity() float64 { return float64(c.slots) / c.delay.Seconds() }

// shows are the tables, in their order.
var shows = []struct {
	name string
	show func(context.Context, config, *services.Programs, io.Writer) error
}{{"collapse", collapse}, {"stall", stall}, {"down", down}}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	c := config{stderr: stderr}
	f := cli.NewFlags("overload [flags]", "SOUNDCHECK_OVERLOAD", "Shows what the services do when more is asked of them than they can do.")
	show := f.String("show", "collapse,stall,down", "`tables` to make")
	f.DurationVar(&c.step, "step", 20*time.Second, "each step of the load is this `long` (1s to 10m)")
	f.DurationVar(&c.stall, "stall", 10*time.Second, "`duration` of the stall and of the outage of the store (1s to 1m)")
	f.DurationVar(&c.patience, "patience", time.Second, "clients wait this `long` (10ms to 1m)")
	f.IntVar(&c.slots, "slots", 16, "workers of the store (1 to 1000)")
	f.DurationVar(&c.delay, "delay", 80*time.Millisecond, "each request takes a worker this `long` (1ms to 1s)")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	switch {
	case c.step < time.Second || c.step > 10*time.Minute:
		return f.Errorf("-step %s is out of range: 1s to 10m", c.step)
	case c.stall < time.Second || c.stall > time.Minute:
		return f.Errorf("-stall %s is out of range: 1s to 1m", c.stall)
	case c.patience < 10*time.Millisecond || c.patience > time.Minute:
		return f.Errorf("-patience %s is out of range: 10ms to 1m", c.patience)
	case c.slots < 1 || c.slots > 1000:
		return f.Errorf("-slots %d is out of range: 1 to 1000", c.slots)
	case c.delay < time.Millisecond || c.delay > time.Second:
		return f.Errorf("-delay %s is out of range: 1ms to 1s", c.delay)
	}
	c.show = strings.Split(*show, ",")
	for _, name := range c.show {
		if !slices.ContainsFunc(shows, func(s struct {
			name string
			show func(context.Context, config, *services.Programs, io.Writer) error
		}) bool {
			return s.name == name
		}) {
			return f.Errorf("-show %q is not collapse, stall or down", name)
		}
	}
	if err := f.NoArgs(); err != nil {
		return err
	}
	p, err := services.Build(ctx, stderr)
	if err != nil {
		return err
	}
	defer p.Close()
	for _, s := range shows {
		if slices.Contains(c.show, s.name) {
			if err := s.show(ctx, c, p, stdout); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return nil
}

// unprotected switches off what keeps a service from doing what nobody waits for.
var (
	unprotectedStore = []string{"-concurrency", "0", "-request-timeout", "0"}
	unprotectedProxy = []string{"-concurrency", "0", "-request-timeout", "0", "-retries", "0", "-breaker=false"}
)

// collapse offers more and more than the capacity.
func collapse(ctx context.Context, c config, p *services.Programs, out io.Writer) error {
	fmt.Fprintf(out, "Overload: the store's capacity is %.0f/s (%d workers, %s per request); client timeout %s.\n\n", c.capacity(), c.slots, c.delay, c.patience)
	tab := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "services\toffered\tgoodput\tof peak\tp50 good\tp99 good\tvs unloaded\tshed\tp99 shed\tfailed\t")
	for _, protected := range []bool{true, false} {
		name, storeArgs, proxyArgs := "default", []string(nil), []string(nil)
		if !protected {
			name, storeArgs, proxyArgs = "-concurrency 0", unprotectedStore, unprotectedProxy
		}
		s, err := start(ctx, p, append(storeArgs, "-fault", strings.Join(c.faults(), ",")), proxyArgs)
		if err != nil {
			return err
		}
		l := load{url: s.proxy.URL, patience: c.patience}
		unloaded := l.run(ctx, 0.1*c.capacity(), c.step/4)
		l.run(ctx, c.capacity(), c.step/2) // so that limits are found and connections open
		var results []*result
		peak := 0.0
		for _, times := range []float64{1, 2, 5, 10} {
			fmt.Fprintf(c.stderr, "overload: %s, %.0f/s for %s\n", name, times*c.capacity(), c.step)
			r := l.run(ctx, times*c.capacity(), c.step)
			if ctx.Err() != nil {
				s.stop()
				return ctx.Err()
			}
			results, peak = append(results, r), max(peak, r.goodput())
		}
		for _, r := range results {
			fmt.Fprintf(tab, "%s\t%.0f/s\t%.0f/s\t%.0f%%\t%s\t%s\t%.1f x\t%d\t%s\t%d\t\n", name, r.rate, r.goodput(), 100*r.goodput()/peak,
				ms(r.good.quantile(0.5)), ms(r.good.quantile(0.99)), float64(r.good.quantile(0.99))/float64(unloaded.good.quantile(0.99)),
				len(r.shed), ms(r.shed.quantile(0.99)), len(r.failed))
		}
		s.stop()
	}
	defer fmt.Fprintln(out)
	return tab.Flush()
}

// stall has the store stand still for a while, at 70% of its capacity.
func stall(ctx context.Context, c config, p *services.Programs, out io.Writer) error {
	const before, after = 10 * time.Second, 20 * time.Second
	rate := 0.7 * c.capacity()
	fmt.Fprintf(out, "Stall: %.0f/s, 70%% of the store's capacity; the store stalls for %s.\n\n", rate, c.stall)
	tab := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "services\tclients\tgoodput before\tduring\trecovery\tgoodput at the end\trequests sent\teach second\t")
	for _, row := range []struct {
		services, clients string
		protected, naive  bool
	}{
		{"default", "no retries", true, false},
		{"default", "naive retries", true, true},
		{"-concurrency 0", "no retries", false, false},
		{"-concurrency 0", "naive retries", false, true},
	} {
		var storeArgs, proxyArgs []string
		if !row.protected {
			storeArgs, proxyArgs = unprotectedStore, unprotectedProxy
		}
		s, err := start(ctx, p, append(storeArgs, "-fault", strings.Join(c.faults(), ",")), proxyArgs)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.stderr, "overload: %s, %s, for %s\n", row.services, row.clients, before+c.stall+after)
		l := load{url: s.proxy.URL, patience: c.patience, naive: row.naive}
		stalled := time.AfterFunc(before, func() {
			if err := s.store.SetFaults(ctx, append(c.faults(), "stall="+c.stall.String())...); err != nil {
				fmt.Fprintln(c.stderr, "overload:", err)
			}
		})
		r := l.run(ctx, rate, before+c.stall+after)
		stalled.Stop()
		s.stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		normal := mean(r.perSecond[2 : before/time.Second])
		end := int((before + c.stall) / time.Second)
		back := "never"
		for i := end; i+3 <= int((before+c.stall+after)/time.Second); i++ {
			if mean(r.perSecond[i:i+3]) >= 0.95*normal {
				back = fmt.Sprintf("after %d s", i-end)
				break
			}
		}
		fmt.Fprintf(tab, "%s\t%s\t%.0f/s\t%.0f/s\t%s\t%.0f/s\t%d\t%s\t\n", row.services, row.clients, normal,
			mean(r.perSecond[before/time.Second+1:end]), back, mean(r.perSecond[end+15:end+20]), r.sent, spark(r.perSecond[:len(r.perSecond)-1], c.capacity()))
		fmt.Fprintln(c.stderr, "overload: good responses each second:", r.perSecond)
	}
	defer fmt.Fprintln(out)
	return tab.Flush()
}

// down has the store killed, and started again.
func down(ctx context.Context, c config, p *services.Programs, out io.Writer) error {
	const rate, before, after = 200, 25 * time.Second, 25 * time.Second
	fmt.Fprintf(out, "Store down: %d/s for %s; the store is killed after %s and is back %s later.\n\n", rate, before+c.stall+after, before, c.stall)
	s, err := start(ctx, p, nil, nil)
	if err != nil {
		return err
	}
	defer s.stop()
	l := load{url: s.proxy.URL, patience: 15 * time.Second}
	l.run(ctx, rate, 5*time.Second)
	first, err := s.state()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stderr, "overload: store down, for %s\n", before+c.stall+after)
	killed := time.AfterFunc(before, func() { s.store.Kill() })
	restarted := time.AfterFunc(before+c.stall, func() {
		if err := s.store.Start(ctx); err != nil {
			fmt.Fprintln(c.stderr, "overload:", err)
		}
	})
	r := l.run(ctx, rate, before+c.stall+after)
	killed.Stop()
	restarted.Stop()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	last, err := s.state()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  responses            %s\n", r.statusText())
	fmt.Fprintf(out, "  other than 2xx       from %.2f s to %.2f s after the beginning (down from %.0f s to %.0f s)\n",
		r.firstBad.Seconds(), r.lastBad.Seconds(), before.Seconds(), (before + c.stall).Seconds())
	fmt.Fprintf(out, "  slowest response     %s\n", ms(max(r.good.quantile(1), r.shed.quantile(1), r.failed.quantile(1))))
	fmt.Fprintf(out, "  proxy's goroutines   %d before, %d after\n", first.Goroutines, last.Goroutines)
	fmt.Fprintf(out, "  proxy's memory       %d MB before, %d MB after\n\n", first.Memory>>20, last.Memory>>20)
	return nil
}

// pair is a store and a proxy in front of it.
type pair struct {
	store *services.Store
	proxy *services.Proxy
}

func start(ctx context.Context, p *services.Programs, storeArgs, proxyArgs []string) (pair, error) {
	store, err := p.StartStore(ctx, storeArgs...)
	if err != nil {
		return pair{}, err
	}
	proxy, err := p.StartProxy(ctx, []*services.Store{store}, proxyArgs...)
	if err != nil {
		store.Kill()
	}
	return pair{store, proxy}, err
}

func (s pair) stop() {
	s.proxy.Kill()
	s.store.Kill()
}

// state returns the proxy's state once it had a rest.
func (s pair) state() (services.State, error) {
	time.Sleep(5 * time.Second) // what was in flight ends, and garbage is collected
	return s.proxy.State()
}

// faults slow the store down to its capacity.
func (c config) faults() []string {
	return []string{"db-delay=" + c.delay.String(), fmt.Sprintf("slots=%d", c.slots)}
}
