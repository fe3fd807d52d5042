package fault

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/telemetry/telemetrytest"
)

// Hidden faults affect requests, and nothing shows them.
func TestHidden(t *testing.T) {
	t.Parallel()
	rec := telemetrytest.New(t)
	s := New(5, all...)
	s.Hide()
	if err := s.Replace(t.Context(), "latency=1ms", "error=502", "db-delay=1us", "n-plus-one=100%"); err != nil {
		t.Fatal(err)
	}
	if err := s.Instrument(rec.TracerProvider, rec.MeterProvider, rec.Logger); err != nil {
		t.Fatal(err)
	}
	ctx, span := rec.TracerProvider.Tracer("t").Start(t.Context(), "server")
	w := httptest.NewRecorder()
	serve(s).ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/x", nil))
	if w.Code != 502 {
		t.Errorf("status %d, want that of the fault", w.Code)
	}
	if _, err := s.Client(s.Service(album.NewMemory(album.Seed()...))).List(ctx, album.Query{Limit: 3}); err != nil {
		t.Fatal(err)
	}
	span.End()
	if spans := rec.Spans(); len(spans) != 1 || len(spans[0].Attributes) != 0 {
		t.Errorf("spans %v, want only the server's, without attributes", spans)
	}
	if log := rec.Logs(); log != "" {
		t.Errorf("log: %s", log)
	}
	h := s.Admin()
	for _, tt := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/admin/faults", 200, `"faults":[],"hidden":true`},
		{"GET", "/admin/faults?hidden=true", 200, `"faults":["db-delay=1us","error=502","latency=1ms","n-plus-one=100%"],"hidden":true`},
		{"PUT", "/admin/faults", 409, "an exercise controls the faults"},
		{"DELETE", "/admin/faults", 409, "an exercise controls the faults"},
	} {
		r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(`{"faults":[]}`))
		r.Host = "127.0.0.1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s %s = %d %s, want %d %s", tt.method, tt.path, w.Code, w.Body, tt.status, tt.want)
		}
	}
	if len(s.List()) != 4 {
		t.Errorf("active: %q", s.List())
	}
}

// counted counts the calls of an album.Service.
type counted struct {
	album.Service
	gets []int64
	err  error
}

func (c *counted) Get(_ context.Context, id int64) (album.Album, error) {
	c.gets = append(c.gets, id)
	return album.Album{}, c.err
}

func TestNPlusOne(t *testing.T) {
	t.Parallel()
	svc := &counted{Service: album.NewMemory(album.Seed()...), err: album.ErrNotFound}
	s := New(1, NPlusOne)
	list := func(ctx context.Context) error {
		page, err := s.Client(svc).List(ctx, album.Query{Limit: 3})
		if err == nil && len(page.Albums) != 3 {
			t.Errorf("%d albums", len(page.Albums))
		}
		return err
	}
	if err := list(t.Context()); err != nil || len(svc.gets) != 0 {
		t.Errorf("without the fault: %v, got %v", err, svc.gets)
	}
	if err := s.Replace(t.Context(), "n-plus-one=100%"); err != nil {
		t.Fatal(err)
	}
	if err := list(t.Context()); err != nil || !slices.Equal(svc.gets, []int64{1, 2, 3}) {
		t.Errorf("with the fault: %v, got %v", err, svc.gets)
	}
	svc.err = context.Canceled
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := list(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after the client has left: %v", err)
	}
}

// database counts what Keep and Lock hold.
type database struct {
	album.Service
	mu           sync.Mutex
	kept, locked int
	err          error
}

func (d *database) hold(n *int) (func(), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	*n++
	return func() { d.mu.Lock(); *n--; d.mu.Unlock() }, d.err
}
func (d *database) Keep(context.Context) (func(), error) { return d.hold(&d.kept) }
func (d *database) Lock(context.Context) (func(), error) { return d.hold(&d.locked) }
func (d *database) held() [2]int                         { d.mu.Lock(); defer d.mu.Unlock(); return [2]int{d.kept, d.locked} }

func TestDatabaseFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &database{Service: album.NewMemory(album.Seed()...)}
		s := New(1, ConnLeak, DBLock)
		svc := s.Service(db)
		get := func() error { _, err := svc.Get(t.Context(), 1); synctest.Wait(); return err }
		want := func(what string, kept, locked int) {
			t.Helper()
			if got := db.held(); got != [2]int{kept, locked} {
				t.Errorf("%s: kept and locked %v, want %d and %d", what, got, kept, locked)
			}
		}
		if err := s.Replace(t.Context(), "conn-leak=100%", "db-lock=400ms@1s"); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(get(), get()); err != nil {
			t.Fatal(err)
		}
		want("before the lock", 2, 0)
		time.Sleep(700 * time.Millisecond)
		if err := errors.Join(get(), get()); err != nil {
			t.Fatal(err)
		}
		want("in the lock", 4, 1)
		time.Sleep(301 * time.Millisecond)
		synctest.Wait()
		want("after the lock", 4, 0)
		time.Sleep(700 * time.Millisecond)
		if err := get(); err != nil {
			t.Fatal(err)
		}
		want("in the next lock", 5, 1)
		if err := s.Replace(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want("turned off", 0, 0)
		db.err = album.ErrNotReady
		if err := s.Replace(t.Context(), "conn-leak=100%"); err != nil {
			t.Fatal(err)
		}
		if err := get(); !errors.Is(err, album.ErrNotReady) {
			t.Errorf("without a connection: %v", err)
		}
	})
}

func TestExclude(t *testing.T) {
	t.Parallel()
	s := New(1, DBDelay, ConnLeak, DBLock)
	if err := s.Exclude(DBLock); err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(t.Context(), "db-lock=1s@2s"); err == nil || !strings.Contains(err.Error(), "this service supports db-delay, conn-leak") {
		t.Errorf("%v", err)
	}
	if err := s.Replace(t.Context(), "conn-leak=1%"); err != nil {
		t.Fatal(err)
	}
	if err := s.Exclude(ConnLeak); err == nil || err.Error() != `fault "conn-leak=1%": this database does not support it` {
		t.Errorf("%v", err)
	}
}
