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
// database is back all is well, and nothing was restarted.
func TestOutage(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "true")
	for name, open := range map[string]func(*testing.T) (url string, away, back func() error, reads int){
		"sqlite locked": func(t *testing.T) (string, func() error, func() error, int) {
			path := filepath.Join(t.TempDir(), "albums.db")
			var other *sql.DB
			away := func() (err error) {
				if other, err = sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)"); err != nil {
					return err
				}
				other.SetMaxOpenConns(1)
				_, err = other.Exec("BEGIN IMMEDIATE")
				return err
			}
			return "sqlite:" + path, away, func() error { return other.Close() }, 200 // readers do not wait for the writer
		},
		"postgres locked": func(t *testing.T) (string, func() error, func() error, int) {
			url := server.New(t)
			var other *sql.DB
			away := func() (err error) {
				if other, err = sql.Open("pgx", url); err != nil {
					return err
				}
				other.SetMaxOpenConns(1)
				_, err = other.Exec("BEGIN; LOCK TABLE albums IN ACCESS EXCLUSIVE MODE")
				return err
			}
			return url, away, func() error { return other.Close() }, 503
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
			url, away, back, reads := open(t)
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
			// well waits until all is: on a busy machine a request can take longer than the store waits for its database.
			well := func(when string) {
				t.Helper()
				for _, tt := range []struct {
					what string
					want int
					ask  func() int
				}{
					{"readyz", 200, func() int { return readyz(t, p.URL) }},
					{"POST", 201, func() int { return call("POST", "/albums") }},
					{"PUT", 200, func() int { return call("PUT", "/albums/3") }},
					{"GET", 200, func() int { return call("GET", "/albums/1") }},
				} {
					got := tt.ask()
					for deadline := time.Now().Add(5 * time.Minute); got == 503 && time.Now().Before(deadline); got = tt.ask() {
						time.Sleep(20 * time.Millisecond)
					}
					if got != tt.want {
						t.Errorf("%s: %s = %d, want %d", when, tt.what, got, tt.want)
					}
				}
			}
			well("before")
			c, err := albumapi.NewClient(p.URL, albumapi.ClientOptions{Timeout: 5 * time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			w := fakeBatch(0)
			w.Albums = w.Albums[:1000]             // a busy machine takes too long for more
			op, _, err := c.Submit(t.Context(), w) // under way when the database goes
			if err != nil {
				t.Fatal(err)
			}
			if err := away(); err != nil {
				t.Fatal(err)
			}
			served := 0
			for begun := time.Now(); time.Since(begun) < 5*time.Second; {
				if post, put, ready := call("POST", "/albums"), call("PUT", "/albums/3"), readyz(t, p.URL); post != 503 || put != 503 || ready != 503 {
					t.Errorf("away: POST = %d, PUT = %d, readyz = %d, want 503", post, put, ready)
				}
				switch got := call("GET", "/albums/1"); got {
				case reads:
					served++
				case 503: // a busy machine
				default:
					t.Errorf("away: GET = %d, want %d", got, reads)
				}
			}
			if served == 0 {
				t.Errorf("away: no GET = %d", reads)
			}
			if err := back(); err != nil {
				t.Fatal(err)
			}
			well("back")
			if end := awaitLong(t, c, op.ID); end.Status != album.Succeeded || len(end.IDs) != len(w.Albums) {
				t.Errorf("the operation that was under way is %s, %d albums, %v", end.Status, len(end.IDs), end.Err)
			}
			cancel()
			if err := <-p.Result; err != nil {
				t.Errorf("run() = %v", err)
			}
		})
	}
}
