package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/albumhttp/contract"
	"soundcheck/internal/service/servicetest"
	"soundcheck/store/db/dbtest"
)

// While its database is unavailable the store responds 503 with Retry-After; when the
// database is back it succeeds again without a restart.
func TestOutage(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "true")
	for name, open := range map[string]func(*testing.T) (url string, down, up func() error, reads int){
		"sqlite locked": func(t *testing.T) (string, func() error, func() error, int) {
			path := filepath.Join(t.TempDir(), "albums.db")
			var other *sql.DB
			down := func() (err error) {
				if other, err = sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)"); err != nil {
					return err
				}
				other.SetMaxOpenConns(1)
				_, err = other.Exec("BEGIN IMMEDIATE")
				return err
			}
			return "sqlite:" + path, down, func() error { return other.Close() }, 200 // readers do not wait for the writer
		},
		"postgres locked": func(t *testing.T) (string, func() error, func() error, int) {
			url := server.New(t)
			var other *sql.DB
			down := func() (err error) {
				if other, err = sql.Open("pgx", url); err != nil {
					return err
				}
				other.SetMaxOpenConns(1)
				_, err = other.Exec("BEGIN; LOCK TABLE albums IN ACCESS EXCLUSIVE MODE")
				return err
			}
			return url, down, func() error { return other.Close() }, 503
		},
		"postgres down": func(t *testing.T) (string, func() error, func() error, int) {
			own, err := dbtest.Start()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { own.Stop() })
			return own.New(t), own.Down, own.Up, 503
		},
	} {
		t.Run(name, func(t *testing.T) {
			url, down, up, reads := open(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := servicetest.Start(t, ctx, run, "-addr", "127.0.0.1:0", "-db", url)
			n := 0
			// call returns the status of a request; a 503 must have Retry-After.
			call := func(method, path string) int {
				t.Helper()
				n++
				body := ""
				if method != http.MethodGet {
					body = fmt.Sprintf(`{"title":"Title %d","artist":"Artist","price":1}`, n)
				}
				req, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := contract.Transport(t, nil).RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode == 503 && resp.Header.Get("Retry-After") == "" {
					t.Errorf("%s %s = 503 without Retry-After", method, path)
				}
				return resp.StatusCode
			}
			// awaitHealthy waits until requests succeed: on a starved host one can take longer than the store's timeouts.
			awaitHealthy := func(when string) {
				t.Helper()
				for _, tt := range []struct {
					what string
					want int
					call func() int
				}{
					{"readyz", 200, func() int { return readyz(t, p.URL) }},
					{"POST", 201, func() int { return call("POST", "/albums") }},
					{"PUT", 200, func() int { return call("PUT", "/albums/3") }},
					{"GET", 200, func() int { return call("GET", "/albums/1") }},
				} {
					got := tt.call()
					for deadline := time.Now().Add(5 * time.Minute); got == 503 && time.Now().Before(deadline); got = tt.call() {
						time.Sleep(20 * time.Millisecond)
					}
					if got != tt.want {
						t.Errorf("%s: %s = %d, want %d", when, tt.what, got, tt.want)
					}
				}
			}
			awaitHealthy("before the outage")
			c, err := albumapi.NewClient(p.URL, albumapi.ClientOptions{Timeout: 5 * time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			w := fakeBatch(0)
			w.Albums = w.Albums[:1000]             // a starved host takes too long for more
			op, _, err := c.Submit(t.Context(), w) // being processed when the database goes down
			if err != nil {
				t.Fatal(err)
			}
			if err := down(); err != nil {
				t.Fatal(err)
			}
			gets, expected, perRound := 0, 0, 1
			if reads == http.StatusOK {
				perRound = 10 // without a timeout each
			}
			for begun := time.Now(); time.Since(begun) < 5*time.Second; {
				if post, put, ready := call("POST", "/albums"), call("PUT", "/albums/3"), readyz(t, p.URL); post != 503 || put != 503 || ready != 503 {
					t.Errorf("database down: POST = %d, PUT = %d, readyz = %d, want 503", post, put, ready)
				}
				for range perRound {
					gets++
					sent := time.Now()
					switch got := call("GET", "/albums/1"); {
					case got == reads:
						expected++
					case got == 503 && time.Since(sent) >= acquireTimeout: // a starved host
					default:
						t.Errorf("database down: GET = %d after %s, want %d", got, time.Since(sent), reads)
					}
				}
			}
			if 2*expected <= gets {
				t.Errorf("database down: %d of %d GETs = %d, want most", expected, gets, reads)
			}
			if err := up(); err != nil {
				t.Fatal(err)
			}
			awaitHealthy("after the outage")
			if end := awaitLong(t, c, op.ID); end.Status != album.Succeeded || len(end.IDs) != len(w.Albums) {
				t.Errorf("the operation is %s, %d albums, %v", end.Status, len(end.IDs), end.Err)
			}
			cancel()
			if err := <-p.Result; err != nil {
				t.Errorf("run() = %v", err)
			}
		})
	}
}
