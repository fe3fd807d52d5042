package attack

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

var update = flag.Bool("update", false, "rewrite testdata")

// fixture feeds a report with results as they come from vegeta.
type fixture struct {
	*Report
	p *pacer
}

func newFixture(c Config) fixture {
	p := newPacer(context.Background(), c)
	p.began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return fixture{newReport(c), p}
}

// result takes in a request that was sent lag after it was due, and whose answer
// ended latency later.
func (f fixture) result(ctx context.Context, seq uint64, scenario string, lag, latency time.Duration, code uint16, err string) {
	f.add(ctx, f.p, &vegeta.Result{Seq: seq, Timestamp: f.p.began.Add(f.p.due(seq) + lag), Latency: latency, Code: code, Error: err},
		&note{scenario: scenarios[scenario], traceID: fmt.Sprintf("%032x", seq+1)})
}

func TestReport(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		c    Config
		fill func(f fixture)
	}{
		{"good", Config{Rate: 100, Duration: 10 * time.Second, MaxWorkers: 1024, Mix: Mix{"get": 70, "list": 20, "create": 10}}, func(f fixture) {
			for seq := range uint64(1000) {
				s := [...]string{"get", "get", "get", "get", "get", "get", "get", "list", "list", "create"}[seq%10]
				code := uint16(scenarios[s].want)
				f.result(t.Context(), seq, s, time.Duration(seq%7)*10*time.Microsecond, time.Duration(1000+seq)*time.Microsecond, code, "")
			}
			f.Elapsed, f.Peak = 9992*time.Millisecond, 3
		}},
		{"bad", Config{Rate: 100, Duration: time.Second, MaxWorkers: 2, Mix: Mix{"get": 1, "create": 1, "list": 0}}, func(f fixture) {
			refused := `Get "http://127.0.0.1:9070/albums/1": dial tcp 127.0.0.1:9070: connect: connection refused`
			malformed := `Post "http://127.0.0.1:9070/albums": malformed HTTP response "x"`
			f.result(t.Context(), 0, "get", 0, time.Millisecond, 200, "")
			f.result(t.Context(), 1, "get", time.Millisecond, 2*time.Millisecond, 404, "404 Not Found")
			f.result(t.Context(), 2, "create", time.Second, 10*time.Second, 0, "context deadline exceeded")
			f.result(t.Context(), 3, "create", time.Second, 5*time.Millisecond, 502, "502 Bad Gateway")
			f.result(t.Context(), 4, "create", time.Second, 5*time.Millisecond, 200, "") // not 201
			f.result(t.Context(), 5, "get", 0, time.Millisecond, 0, refused)
			f.result(t.Context(), 6, "get", 0, time.Millisecond, 0, refused)
			f.result(t.Context(), 7, "create", 0, time.Millisecond, 0, malformed)
			f.result(over, 8, "create", 0, time.Hour, 0, `Post "http://127.0.0.1:9070/albums": context canceled`)
			f.add(t.Context(), f.p, &vegeta.Result{Seq: 9, Error: "not sent at all"}, nil)
			f.Slowest[1].TraceID = ""
			f.Elapsed, f.Peak = 11*time.Second, 2
		}},
		{"nothing", Config{Rate: 100, Duration: time.Second, MaxWorkers: 2, Mix: Mix{"get": 1}}, func(fixture) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.c.URL = "http://127.0.0.1:9070"
			f := newFixture(tt.c)
			tt.fill(f)
			var got bytes.Buffer
			if err := f.Write(&got); err != nil {
				t.Fatal(err)
			}
			path := "testdata/" + tt.name + ".txt"
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("report is\n%s, want\n%s", got.Bytes(), want)
			}
			if err := f.Write(full{}); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("Write to a full disk = %v, want %v", err, syscall.ENOSPC)
			}
		})
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestReached(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		requests int
		elapsed  time.Duration
		want     float64
	}{
		{"all in time", 1000, 9990 * time.Millisecond, 100}, // not 1000 in 9.99 s
		{"all, the last answers late", 1000, 12500 * time.Millisecond, 80},
		{"interrupted", 500, 5 * time.Second, 100},
		{"none", 0, 0, 0},
	} {
		r := &Report{Rate: 100, Planned: 1000, Requests: tt.requests, Elapsed: tt.elapsed}
		if got := r.reached(); got != tt.want {
			t.Errorf("%s: reached %v, want %v", tt.name, got, tt.want)
		}
	}
}
