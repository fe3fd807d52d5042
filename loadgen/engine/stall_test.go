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
	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/connect/connecttest"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/workload"
)

// alone is set when no other test runs on the machine.
const alone = "SOUNDCHECK_ALONE"

// serveAlbums makes the test binary a service that responds immediately.
const serveAlbums = "serve-albums"

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == serveAlbums {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		fmt.Println(l.Addr())
		s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), Protocols: new(http.Protocols)}
		for _, set := range []func(*http.Protocols, bool){(*http.Protocols).SetHTTP1, (*http.Protocols).SetHTTP2, (*http.Protocols).SetUnencryptedHTTP2} {
			set(s.Protocols, true)
		}
		if os.Args[2] == "" {
			panic(s.Serve(l))
		}
		panic(s.ServeTLS(l, os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// startService starts a service until the end of the test, with TLS if there is a certificate.
func startService(t *testing.T, cert connecttest.Files) (*os.Process, string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, serveAlbums, cert.Cert, cert.Key)
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
	scheme := "http://"
	if cert.Cert != "" {
		scheme = "https://"
	}
	return cmd.Process, scheme + strings.TrimSpace(address)
}

// pause is a pause of a process: SIGSTOP, SIGCONT, and its first response, since the start.
type pause struct{ from, resumed, to time.Duration }

// pauseAt stops a process for 1 s at each of the times. A request of its own measures when the
// process responds after SIGCONT, which depends on the machine.
func pauseAt(p *os.Process, url string, began time.Time, at ...time.Duration) ([]pause, error) {
	client := &http.Client{Transport: connect.Options{NoKeepalive: true, Insecure: true}.Dialer().Transport(1), Timeout: 20 * time.Second}
	var list []pause
	for _, from := range at {
		time.Sleep(time.Until(began.Add(from)))
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			return nil, err
		}
		s := pause{from: time.Since(began)}
		responded := make(chan error, 1)
		go func() {
			resp, err := client.Get(url + "/albums/1")
			s.to = time.Since(began)
			if err == nil {
				err = resp.Body.Close()
			}
			responded <- err
		}()
		time.Sleep(time.Second)
		s.resumed = time.Since(began)
		if err := errors.Join(p.Signal(syscall.SIGCONT), <-responded); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// scheduledTimes returns the scheduled times of a run.
func scheduledTimes(t *testing.T, c Config) (scheduled []time.Duration) {
	for p := pacerOf(t, c); ; {
		at, more := p.Next(uint64(len(scheduled)))
		if !more {
			return scheduled
		}
		scheduled = append(scheduled, at)
	}
}

// gap returns a time after at without requests in flight. A pause during a request would count that
// request too.
func gap(scheduled []time.Duration, at time.Duration) time.Duration {
	for i := 1; ; i++ {
		if scheduled[i-1] > at && scheduled[i]-scheduled[i-1] > 8*time.Millisecond {
			return (scheduled[i-1] + scheduled[i]) / 2
		}
	}
}

// nearestRank returns the smallest value with at least parts/100,000 of all at or below it.
func nearestRank(sorted []time.Duration, parts int) time.Duration {
	return sorted[max((len(sorted)*parts+99_999)/100_000, 1)-1]
}

// responses returns the min and max response times, sorted, if the service responds immediately
// except in the pauses; and the share of requests outside the pauses.
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

// A service stalls for 1 s in every 10 s. The percentiles are those of the scheduled times, for any
// arrivals, also if requests could not be sent because all workers were busy.
func TestStallsAlone(t *testing.T) {
	if os.Getenv(alone) == "" {
		t.Skip("it needs the machine for itself: make test runs it after the other tests, with " + alone + "=1")
	}
	const d = 20 * time.Second
	// Few requests, so that those of a pause complete immediately after it.
	poisson := steady(20, d)
	poisson.Arrivals = schedule.Poisson
	ca := connecttest.NewCA(t)
	pair := ca.Server(t).Files(t, t.TempDir())
	var wg sync.WaitGroup
	defer wg.Wait()
	for i, tt := range []struct {
		name    string
		plan    schedule.Plan
		workers int
		cert    connecttest.Files
		connect connect.Options
	}{
		{"constant", steady(20, d), 1024, connecttest.Files{}, connect.Options{}},
		{"ramp", schedule.Plan{Stages: []schedule.Stage{{Duration: d, From: 10, To: 30}}, Arrivals: schedule.Constant}, 1024, connecttest.Files{}, connect.Options{}},
		{"poisson", poisson, 1024, connecttest.Files{}, connect.Options{}},
		{"few workers", steady(20, d), 4, connecttest.Files{}, connect.Options{}},
		{"HTTP/1.1 with TLS", steady(20, d), 1024, pair, connect.Options{CACert: ca.PEM, Version: connect.HTTP1}},
		{"HTTP/2 with TLS, few workers", steady(20, d), 4, pair, connect.Options{CACert: ca.PEM, Version: connect.HTTP2}},
		{"h2c, poisson", poisson, 1024, connecttest.Files{}, connect.Options{Version: connect.H2C}},
	} {
		c := testConfig("", tracetest.NewSpanRecorder())
		c.Plan, c.MaxWorkers, c.TracerProvider, c.Mix = tt.plan, tt.workers, nil, workload.Mix{"get": 1}
		service, url := startService(t, tt.cert)
		c.URL, c.Connect = url, tt.connect
		// Staggered, and not during the start of other tests.
		first := 6*time.Second + time.Duration(i)*500*time.Millisecond
		// Not subtests: those are limited to the number of cores.
		wg.Go(func() {
			// Too short response times are errors. Too long ones can be due to CPU saturation; then
			// the run is repeated.
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
				t.Logf("%s: too long, CPU saturation: %s", tt.name, long)
			}
		})
	}
}

// tolerance is the max error of a percentile.
const tolerance = 0.02

// stallOnce runs against a service with pauses. It returns a too long percentile, and whether the
// CPU was saturated: requests outside the pauses had more response time or send delay than
// tolerated. A too short percentile is an error.
func stallOnce(t *testing.T, c Config, service *os.Process, pausesAt ...time.Duration) (long string, busy bool, err error) {
	scheduled := scheduledTimes(t, c)
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
