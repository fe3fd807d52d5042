package engine

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/workload"
)

// alone is set where nothing else runs on the machine.
const alone = "SOUNDCHECK_ALONE"

// serveAlbums makes the test program a service that answers every request at once.
const serveAlbums = "serve-albums"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == serveAlbums {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		fmt.Println(l.Addr())
		panic(http.Serve(l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	}
	os.Exit(m.Run())
}

// startService returns the process and the URL of a service that ends with the test.
func startService(t *testing.T) (*os.Process, string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, serveAlbums)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // also if it is stopped
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return cmd.Process, "http://" + strings.TrimSpace(address)
}

// pause is when a process was stopped, the first moment when it could respond again, and
// when it did, counted from the beginning.
type pause struct{ from, resumed, to time.Duration }

// pauseAt stops a process for a second at each of the times. How long it takes a machine
// to let it go on is no fault of who measures: a request of our own tells when it responds.
func pauseAt(p *os.Process, url string, began time.Time, at ...time.Duration) ([]pause, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	var list []pause
	for _, from := range at {
		time.Sleep(time.Until(began.Add(from)))
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			return nil, err
		}
		s := pause{from: time.Since(began)}
		answered := make(chan error, 1)
		go func() {
			resp, err := client.Get(url + "/albums/1")
			s.to = time.Since(began)
			if err == nil {
				err = resp.Body.Close()
			}
			answered <- err
		}()
		time.Sleep(time.Second)
		s.resumed = time.Since(began)
		if err := errors.Join(p.Signal(syscall.SIGCONT), <-answered); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// dueTimes returns when the requests of an attack are scheduled.
func dueTimes(t *testing.T, c Config) (scheduled []time.Duration) {
	for p := pacerOf(t, c); ; {
		at, more := p.Next(uint64(len(scheduled)))
		if !more {
			return scheduled
		}
		scheduled = append(scheduled, at)
	}
}

// gap returns a time after at when no request is on its way: one that a pause cuts off
// would count as one of the pause.
func gap(scheduled []time.Duration, at time.Duration) time.Duration {
	for i := 1; ; i++ {
		if scheduled[i-1] > at && scheduled[i]-scheduled[i-1] > 8*time.Millisecond {
			return (scheduled[i-1] + scheduled[i]) / 2
		}
	}
}

// nearestRank returns the smallest of sorted that so many parts of 100,000 are not above.
func nearestRank(sorted []time.Duration, parts int) time.Duration {
	return sorted[max((len(sorted)*parts+99_999)/100_000, 1)-1]
}

// responses returns what the response times are at least and at most if the service responds
// at once but in the pauses, sorted; and the share of requests that no pause touches.
func responses(scheduled []time.Duration, pauses []pause) (least, most []time.Duration, untouched float64) {
	least, most = make([]time.Duration, len(scheduled)), make([]time.Duration, len(scheduled))
	for i, at := range scheduled {
		for _, s := range pauses {
			if at >= s.from && at < s.to {
				least[i], most[i] = max(s.resumed-at, 0), s.to-at
			}
		}
		if most[i] == 0 {
			untouched += 1 / float64(len(scheduled))
		}
	}
	slices.Sort(least)
	slices.Sort(most)
	return least, most, untouched
}

// A service that stands still for 1 s in every 10 s: the percentiles are those that
// follow from when requests were scheduled, whatever the arrivals, and also if the requests of
// a pause could not be sent because the workers were waiting.
func TestStallsAlone(t *testing.T) {
	if os.Getenv(alone) == "" {
		t.Skip("it needs the machine for itself: make test runs it after the other tests, with " + alone + "=1")
	}
	const d = 20 * time.Second
	// So few that the requests of a pause are answered in no time when it is over.
	poisson := steady(20, d)
	poisson.Arrivals = schedule.Poisson
	var wg sync.WaitGroup
	defer wg.Wait()
	for i, tt := range []struct {
		name    string
		plan    schedule.Plan
		workers int
	}{
		{"constant", steady(20, d), 1024},
		{"ramp", schedule.Plan{Stages: []schedule.Stage{{Duration: d, From: 10, To: 30}}, Arrivals: schedule.Constant}, 1024},
		{"poisson", poisson, 1024},
		{"few workers", steady(20, d), 4},
	} {
		c := testConfig("", tracetest.NewSpanRecorder())
		c.Plan, c.MaxWorkers, c.TracerProvider, c.Mix = tt.plan, tt.workers, nil, workload.Mix{"get": 1}
		service, url := startService(t)
		c.URL = url
		// Not all at once, and not while other tests of the package begin.
		first := 7*time.Second + time.Duration(i)*600*time.Millisecond
		// Not subtests: no more of these run at once than there are cores.
		wg.Go(func() {
			// Times that are too short are wrong. Times that are too long can be the
			// machine's, if it is busy all the same: then nothing can be told of them.
			for range 3 {
				long, busy, err := stallOnce(t, c, service, first, first+10*time.Second)
				switch {
				case err != nil:
					t.Errorf("%s: %v", tt.name, err)
					return
				case long == "":
					return
				case !busy:
					t.Errorf("%s: too long: %s", tt.name, long)
					return
				}
				t.Logf("%s: too long, and the machine was busy: %s", tt.name, long)
			}
		})
	}
}

// tolerance is by how much a percentile may be off.
const tolerance = 0.02

// stallOnce attacks a service that pauses, and returns which percentile is too long, and
// whether the machine was busy: then also requests outside of the pauses took longer than
// what may be off, or were sent later. One that is too short is an error.
func stallOnce(t *testing.T, c Config, service *os.Process, pausesAt ...time.Duration) (long string, busy bool, err error) {
	scheduled := dueTimes(t, c)
	for i, at := range pausesAt {
		pausesAt[i] = gap(scheduled, at)
	}
	c.StartAt = time.Now().Add(100 * time.Millisecond)
	var pauses []pause
	paused := make(chan error)
	go func() {
		var err error
		pauses, err = pauseAt(service, c.URL, c.StartAt, pausesAt...)
		paused <- err
	}()
	r, err := Run(t.Context(), c)
	if err := errors.Join(err, <-paused); err != nil {
		return "", false, err
	}
	if r.Sent != len(scheduled) || r.Classes[measure.Good] != r.Sent {
		return "", false, fmt.Errorf("%d requests, %v, want %d, all good; errors %v", r.Sent, r.Classes, len(scheduled), r.Errors)
	}
	least, most, untouched := responses(scheduled, pauses)
	noise := max(r.Times("response").Quantile(untouched), r.Times("send_delay").Quantile(untouched))
	for _, parts := range []int{95_000, 99_000, 99_900} {
		got, from, to := r.Times("response").Quantile(float64(parts)/100_000), nearestRank(least, parts), nearestRank(most, parts)
		text := fmt.Sprintf("p%g = %s, want %s to %s, ± 2%%; outside of the pauses the longest is %s", float64(parts)/1000, got, from, to, noise)
		t.Log(text)
		switch {
		case float64(got) < (1-tolerance)*float64(from):
			return "", false, errors.New(text)
		case float64(got) > (1+tolerance)*float64(to):
			long = fmt.Sprintf("%s; send delay p99 %g s; invalid: %q", text, r.SendDelay.P99, r.Invalid)
			busy = busy || float64(noise) > tolerance*float64(to)
		}
	}
	return long, busy, nil
}
