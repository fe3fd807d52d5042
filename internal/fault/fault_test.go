package fault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"soundcheck/internal/album"
	"soundcheck/internal/telemetry/telemetrytest"
)

var all = []Kind{DBDelay, Latency, Error, Stall, Slots, Drop, ConnLeak, DBLock, NPlusOne}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"db-delay=20ms", "db-delay=20ms@5%", "latency=50ms@10%", "latency=1h", "error=500@0.5%", "error=503", "stall=10s@1m", "stall=10s", "slots=16", "drop=100%", "conn-leak=1%", "db-lock=400ms@1s", "n-plus-one=50%", " drop=1% "} {
		s := New(1, all...)
		if err := s.Replace(t.Context(), good); err != nil || len(s.List()) != 1 || s.List()[0] != strings.TrimSpace(good) {
			t.Errorf("%q: %v, %v", good, s.List(), err)
		}
	}
	for bad, want := range map[string]string{
		"":                "must be kind=value, such as db-delay=20ms",
		"slow":            "must be kind=value, such as db-delay=20ms",
		"fire=1":          "this service supports db-delay, latency, error, stall, slots, drop, conn-leak, db-lock, n-plus-one",
		"db-delay=2h":     "must be db-delay=TIME@SHARE, TIME from 1us to 1h, SHARE above 0% and up to 100%",
		"db-delay=1s@1":   "must be db-delay=TIME@SHARE, TIME from 1us to 1h, SHARE above 0% and up to 100%",
		"latency=1s@0%":   "must be latency=TIME@SHARE, TIME from 1us to 1h, SHARE above 0% and up to 100%",
		"latency=-1s":     "must be latency=TIME@SHARE, TIME from 1us to 1h, SHARE above 0% and up to 100%",
		"error=200@1%":    "must be error=STATUS@SHARE, STATUS from 400 to 599, SHARE above 0% and up to 100%",
		"error=500@1":     "must be error=STATUS@SHARE, STATUS from 400 to 599, SHARE above 0% and up to 100%",
		"error=500@NaN%":  "must be error=STATUS@SHARE, STATUS from 400 to 599, SHARE above 0% and up to 100%",
		"stall=1m@10s":    "must be stall=TIME or stall=TIME@PERIOD, from 1us to 1h, TIME shorter than PERIOD",
		"stall=1m@":       "must be stall=TIME or stall=TIME@PERIOD, from 1us to 1h, TIME shorter than PERIOD",
		"slots=0":         "must be slots=NUMBER, NUMBER from 1 to 100000",
		"db-lock=1s":      "must be db-lock=TIME@PERIOD, from 1us to 1h, TIME shorter than PERIOD",
		"db-lock=2s@1s":   "must be db-lock=TIME@PERIOD, from 1us to 1h, TIME shorter than PERIOD",
		"conn-leak=1":     "must be conn-leak=SHARE, SHARE above 0% and up to 100%",
		"n-plus-one=1":    "must be n-plus-one=SHARE, SHARE above 0% and up to 100%",
		"drop=101%":       "must be drop=SHARE, SHARE above 0% and up to 100%",
		"drop=1%,drop=2%": "drop is a duplicate",
	} {
		s := New(1, all...)
		if err := s.Replace(t.Context(), "slots=3"); err != nil {
			t.Fatal(err)
		}
		if err := s.Replace(t.Context(), bad); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", bad, err, want)
		}
		if fmt.Sprint(s.List()) != "[slots=3]" {
			t.Errorf("%q left %v on", bad, s.List())
		}
	}
	for _, text := range []string{"slots=3", "nosuch=1"} {
		err := New(1, Latency, Drop).Replace(t.Context(), text)
		if want := fmt.Sprintf("fault %q: this service supports latency, drop", text); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"latency=50ms@10%", "stall=10s@1m", "slots=16", "error=500@1%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		one, err := parse(in)
		if err != nil {
			return
		}
		if one.share <= 0 || one.share > 1 || one.delay < 0 || one.delay > maxDelay || one.every < 0 {
			t.Errorf("%q: %+v", in, one)
		}
		again, err := parse(one.text)
		if err != nil || again.kind != one.kind || again.share != one.share || again.delay != one.delay {
			t.Errorf("%q: %+v, again %+v, %v", in, one, again, err)
		}
	})
}

// How long calls take with faults of the database.
func TestService(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		faults string
		calls  int // at once
		from   time.Duration
		want   time.Duration // until the last one is answered
	}{
		{"db-delay=20ms", 10, 0, 20 * time.Millisecond},
		{"db-delay=20ms,slots=4", 10, 0, 60 * time.Millisecond},
		{"slots=4", 10, 0, 0},
		{"stall=10s", 3, 0, 10 * time.Second},
		{"stall=10s", 3, 4 * time.Second, 6 * time.Second},
		{"stall=10s", 3, 11 * time.Second, 0},
		{"stall=10s@1m", 3, 0, 0},
		{"stall=10s@1m", 3, 49 * time.Second, 0},
		{"stall=10s@1m", 3, 51 * time.Second, 9 * time.Second},
		{"stall=10s@1m", 3, 60 * time.Second, 0},
		{"stall=10s@1m,db-delay=1s,slots=1", 3, 115 * time.Second, 8 * time.Second},
	} {
		t.Run(tt.faults, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := New(1, all...)
				if err := s.Replace(t.Context(), tt.faults); err != nil {
					t.Fatal(err)
				}
				svc := s.Service(album.NewMemory(album.Seed()...))
				time.Sleep(tt.from)
				start := time.Now()
				var last atomic.Int64
				for range tt.calls {
					go func() {
						if _, err := svc.Get(t.Context(), 1); err != nil {
							t.Error(err)
						}
						last.Store(int64(time.Since(start)))
					}()
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if got := time.Duration(last.Load()); got != tt.want {
					t.Errorf("the last was answered after %s, want %s", got, tt.want)
				}
			})
		})
	}
}

// Who leaves while a fault holds him gives back what he had; when a fault is turned
// off who waits for it goes on.
func TestLeaveAndTurnOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(1, all...)
		memory := album.NewMemory(album.Seed()...)
		svc := s.Service(memory)
		for _, faults := range []string{"stall=1h", "slots=1,db-delay=1h"} {
			if err := s.Replace(t.Context(), faults); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				if _, err := svc.Get(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %v", faults, err)
				}
				cancel()
			}
			done := make(chan error, 3)
			for range 3 {
				go func() { _, err := svc.Get(t.Context(), 1); done <- err }()
			}
			synctest.Wait()
			if len(done) != 0 {
				t.Errorf("%s: %d did not wait", faults, len(done))
			}
			if err := s.Replace(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if len(done) != 3 {
				t.Fatalf("%s: %d of 3 went on when it was turned off", faults, len(done))
			}
			for range 3 {
				if err := <-done; err != nil {
					t.Errorf("%s: %v", faults, err)
				}
			}
			if _, err := svc.Get(t.Context(), 1); err != nil || len(s.List()) != 0 {
				t.Errorf("%s: %v, %v is on", faults, err, s.List())
			}
		}
	})
}

// Other faults that change, and another number of workers, let nobody through that
// waits.
func TestChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(1, all...)
		svc := s.Service(album.NewMemory(album.Seed()...))
		set := func(faults string) {
			if err := s.Replace(t.Context(), faults); err != nil {
				t.Fatal(err)
			}
		}
		set("slots=1,db-delay=1s")
		var done atomic.Int64
		for range 10 {
			go func() { _, _ = svc.Get(t.Context(), 1); done.Add(1) }()
		}
		time.Sleep(500 * time.Millisecond)
		set("slots=1,db-delay=1s,error=500@1%")
		time.Sleep(100 * time.Millisecond)
		if done.Load() != 0 {
			t.Errorf("%d were let through", done.Load())
		}
		set("slots=2,db-delay=1s")
		time.Sleep(1200 * time.Millisecond) // the first one, and two of the new workers
		if done.Load() != 3 {
			t.Errorf("%d are done, want 3", done.Load())
		}
		start := time.Now()
		set("stall=10s")
		time.Sleep(4 * time.Second)
		set("stall=10s,latency=1ms")
		if _, err := svc.Get(t.Context(), 1); err != nil || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %s, want the stall's 10s", err, time.Since(start))
		}
	})
}

func serve(s *Set) *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(s.Middleware(func(c *gin.Context, status int) { c.AbortWithStatus(status) }, func(c *gin.Context) { c.AbortWithStatus(599) }))
	r.GET("/x", func(c *gin.Context) { c.Status(200) })
	return r
}

// A fault meets the share of requests that it says, the same ones for the same seed.
func TestShares(t *testing.T) {
	t.Parallel()
	meets := func(seed uint64) (list string, n int) {
		s := New(seed, all...)
		if err := s.Replace(t.Context(), "error=502@10%"); err != nil {
			t.Fatal(err)
		}
		r := serve(s)
		for range 2000 {
			w := httptest.NewRecorder()
			r.ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
			if w.Code == 502 {
				n++
			}
			list += fmt.Sprint(w.Code, " ")
		}
		return list, n
	}
	first, n := meets(7)
	if again, _ := meets(7); again != first {
		t.Error("the same seed, other requests")
	}
	if other, _ := meets(8); other == first {
		t.Error("another seed, the same requests")
	}
	if n < 140 || n > 260 { // 200 ± 4.5 σ
		t.Errorf("%d of 2000, want 200 or so", n)
	}
}

// What was touched says so: in a span, in a metric, in the log.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	rec := telemetrytest.New(t)
	s := New(1, all...)
	if err := s.Replace(t.Context(), "latency=1ms", "error=500", "db-delay=1us"); err != nil {
		t.Fatal(err)
	}
	if err := s.Instrument(rec.TracerProvider, rec.MeterProvider, rec.Logger); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(rec.Logs(), `"faults active"`) || !strings.Contains(rec.Logs(), `"faults":["db-delay=1us","error=500","latency=1ms"]`) {
		t.Errorf("log: %s", rec.Logs())
	}
	ctx, span := rec.TracerProvider.Tracer("t").Start(t.Context(), "server")
	serve(s).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/x", nil))
	span.End()
	ctx, span = rec.TracerProvider.Tracer("t").Start(t.Context(), "domain")
	if _, err := s.Service(album.NewMemory(album.Seed()...)).Get(ctx, 1); err != nil {
		t.Fatal(err)
	}
	span.End()
	var got []string
	for _, s := range rec.Spans() {
		got = append(got, s.Name+" "+telemetrytest.Attributes(s.Attributes))
	}
	if text := strings.Join(got, ", "); text != "fault latency soundcheck.fault=latency, server soundcheck.fault=latency,error, fault db-delay soundcheck.fault=db-delay, domain soundcheck.fault=db-delay" {
		t.Errorf("spans: %s", text)
	}
	active := map[string]int64{}
	for _, p := range rec.Metric("soundcheck.fault.active").Data.(metricdata.Gauge[int64]).DataPoints {
		kind, _ := p.Attributes.Value(Key)
		active[kind.AsString()] = p.Value
	}
	if fmt.Sprint(active) != "map[conn-leak:0 db-delay:1 db-lock:0 drop:0 error:1 latency:1 n-plus-one:0 slots:0 stall:0]" {
		t.Errorf("active: %v", active)
	}
	injected := map[string]int64{}
	for _, p := range rec.Metric("soundcheck.fault.injected").Data.(metricdata.Sum[int64]).DataPoints {
		kind, _ := p.Attributes.Value(Key)
		injected[kind.AsString()] = p.Value
	}
	if fmt.Sprint(injected) != "map[db-delay:1 error:1 latency:1]" {
		t.Errorf("injected: %v", injected)
	}
	if err := s.Replace(t.Context()); err != nil || !strings.Contains(rec.Logs(), `"no fault active"`) {
		t.Errorf("%v, log: %s", err, rec.Logs())
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	s := New(5, DBDelay, Slots)
	h := s.Admin()
	const kinds = `"kinds":["db-delay","slots"],"seed":5}` + "\n"
	for _, tt := range []struct {
		method, host, body string
		status             int
		want               string
	}{
		{"GET", "127.0.0.1:9081", "", 200, `{"faults":[],` + kinds},
		{"PUT", "127.0.0.1:9081", `{"faults":["db-delay=20ms","slots=16"]}`, 200, `{"faults":["db-delay=20ms","slots=16"],` + kinds},
		{"GET", "localhost:9081", "", 200, `{"faults":["db-delay=20ms","slots=16"],` + kinds},
		{"PUT", "127.0.0.1", `{"faults":["drop=1%"]}`, 400, `this service supports`},
		{"PUT", "127.0.0.1", `{"faults":["slots=1"],"x":1}`, 400, `unknown field`},
		{"PUT", "127.0.0.1", `{"faults":["slots=1"]} {}`, 400, `unexpected data after`},
		{"PUT", "127.0.0.1", `{}`, 400, `\"faults\" is missing`},
		{"PUT", "127.0.0.1", `slots=1`, 400, `the body must be`},
		{"PUT", "127.0.0.1", `{"faults":["` + strings.Repeat("x", 20000) + `"]}`, 400, `too large`},
		{"PUT", "evil.example:9081", `{"faults":[]}`, 421, `the Host header must be`},
		{"GET", "[::1]:9081", "", 200, `{"faults":["db-delay=20ms","slots=16"],` + kinds}, // nothing of that has changed it
		{"POST", "127.0.0.1", "", 405, ""},
		{"DELETE", "127.0.0.1", "", 200, `{"faults":[],` + kinds},
		{"GET", "127.0.0.1", "", 200, `{"faults":[],` + kinds},
	} {
		r := httptest.NewRequest(tt.method, "/admin/faults", strings.NewReader(tt.body))
		r.Host = tt.host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		exact := tt.status == http.StatusOK
		if w.Code != tt.status || exact && w.Body.String() != tt.want || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s %s %s = %d %s, want %d %s", tt.method, tt.host, tt.body, w.Code, w.Body, tt.status, tt.want)
		}
	}
}
