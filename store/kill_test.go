package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/albumhttp/contract"
	"soundcheck/internal/cli/clitest"
	"soundcheck/store/db/dbtest"
)

// process is a store of its own, which can be killed.
type process struct {
	cmd  *exec.Cmd
	addr string
	path string // of the binary; empty: of the full store
}

func (p *process) start(t testing.TB, db string) {
	t.Helper()
	p.cmd = exec.Command(cmp.Or(p.path, binary), "-addr", p.addr, "-db", db)
	p.cmd.Env = append(os.Environ(), "OTEL_SDK_DISABLED=true", "GOMAXPROCS=2")
	p.cmd.SysProcAttr = dbtest.DieWithParent(nil)
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		resp, err := http.Get("http://" + p.addr + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the store is not ready: %v", err)
		}
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// journal is what clients of a store know.
type journal struct {
	mu         sync.Mutex
	created    map[string]bool // titles that were answered 2xx
	operations map[string][]string
	unanswered []album.Write // to be sent again with their keys
	later      []album.Write // the same, of those that are done later
}

// write sends one Write, and notes what came of it.
func (j *journal) write(ctx context.Context, c *albumapi.Client, w album.Write, async bool) error {
	var op album.Operation
	var err error
	if async {
		op, _, err = c.Submit(ctx, w)
	} else {
		_, err = c.Create(ctx, w)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case err == nil && async:
		for _, a := range w.Albums {
			j.operations[op.ID] = append(j.operations[op.ID], a.Title)
		}
	case err == nil:
		for _, a := range w.Albums {
			j.created[a.Title] = true
		}
	case async:
		j.later = append(j.later, w)
	default:
		j.unanswered = append(j.unanswered, w)
	}
	return err
}

// The store is killed twenty times while it writes. Every album with a 2xx response is
// there, nothing is there twice, and every accepted operation ends.
func TestKilled(t *testing.T) {
	t.Parallel()
	for name, db := range map[string]string{"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "albums.db"), "postgres": server.New(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &process{addr: clitest.FreeAddr(t)}
			c, err := albumapi.NewClient("http://"+p.addr, albumapi.ClientOptions{
				Timeout: 5 * time.Minute, // on a busy machine
				Wrap:    func(next http.RoundTripper) http.RoundTripper { return contract.Transport(t, next) }})
			if err != nil {
				t.Fatal(err)
			}
			j := &journal{created: map[string]bool{}, operations: map[string][]string{}}
			for round := range 20 {
				p.start(t, db)
				j.round(t, c, p, round)
			}
			p.start(t, db)
			defer p.kill()
			for _, w := range j.unanswered { // perhaps done, perhaps not: the key makes it once
				retryTimeouts(t, func() error { return j.write(t.Context(), c, w, false) })
			}
			for _, w := range j.later {
				retryTimeouts(t, func() error { return j.write(t.Context(), c, w, true) })
			}
			for id, titles := range j.operations {
				if op := awaitLong(t, c, id); op.Status != album.Succeeded || len(op.IDs) != len(titles) {
					t.Errorf("operation %+v, want it to have created %d albums", op, len(titles))
				}
				for _, title := range titles {
					j.created[title] = true
				}
			}
			seen := map[string]int{}
			for a, err := range c.Stream(t.Context(), album.Filter{}) {
				if err != nil {
					t.Fatal(err)
				}
				seen[a.Title]++
			}
			for title := range j.created {
				if seen[title] != 1 {
					t.Errorf("%q is there %d times, want once", title, seen[title])
				}
			}
			if want := len(j.created) + len(album.Seed()); len(seen) != want {
				t.Errorf("%d different albums, want %d: what was not answered was sent again", len(seen), want)
			}
			if len(j.created) < 20*20 {
				t.Errorf("only %d albums were created: too little happened", len(j.created))
			}
			t.Logf("%d albums created, %d operations, %d requests without an answer", len(j.created), len(j.operations), len(j.unanswered)+len(j.later))
		})
	}
}

// The store's timeouts, as in store/db.
const (
	busyTimeout    = time.Second // of a lock, and of /readyz
	acquireTimeout = 2 * time.Second
)

// retryTimeouts repeats a call to a ready store while the database is too busy for the store's timeouts. A call that
// fails earlier fails the test.
func retryTimeouts(t *testing.T, call func() error) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		begun := time.Now()
		err := call()
		if err == nil {
			return
		}
		if took := time.Since(begun); !errors.Is(err, album.ErrNotReady) || took < busyTimeout || time.Now().After(deadline) {
			t.Fatalf("after %s: %v", took, err)
		}
	}
}

// awaitLong is albumtest.Await for an operation whose worker was killed.
func awaitLong(t *testing.T, c *albumapi.Client, id string) (op album.Operation) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		retryTimeouts(t, func() (err error) {
			op, err = c.Operation(t.Context(), id)
			return err
		})
		if op.Status == album.Succeeded || op.Status == album.Failed {
			return op
		}
	}
	return albumtest.Await(t, c, id)
}

// round lets clients write until enough was acknowledged, and kills the store then.
func (j *journal) round(t *testing.T, c *albumapi.Client, p *process, round int) {
	const clients, enough = 8, 30
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for client := range clients {
		wg.Go(func() {
			for n := 0; ; n++ {
				name := fmt.Sprintf("round %d client %d write %d", round, client, n)
				w := album.Write{Key: fmt.Sprintf("%d-%d-%d", round, client, n), Batch: n%3 == 1}
				size := 1 + n%3*4
				if client == 0 && w.Batch {
					size = 1500 // a COMMIT of its own, and of several statements, in SQLite
				}
				for i := range size {
					if i > 0 && !w.Batch {
						break
					}
					a := albumtest.New(0)
					a.Title = fmt.Sprintf("%s album %d", name, i)
					w.Albums = append(w.Albums, a)
				}
				err := j.write(t.Context(), c, w, n%4 == 2)
				if errors.Is(err, album.ErrUnavailable) {
					return // killed
				}
				if err != nil && !errors.Is(err, album.ErrNotReady) {
					t.Errorf("%s: %v", name, err)
				}
				mu.Lock()
				if done++; done == enough {
					p.kill()
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}
