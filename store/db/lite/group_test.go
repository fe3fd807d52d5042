package lite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Transactions that wait for a closed database return.
func TestGroupClosed(t *testing.T) {
	t.Parallel()
	g := group(t, time.Minute)
	var done sync.WaitGroup
	hold(t, g, func(waiting func(int)) {
		for i := range 5 {
			done.Go(func() {
				err := g.Do(t.Context(), func(ctx context.Context, tx *sql.Tx) error { return insert(ctx, tx, int64(i)) })
				if err == nil || !strings.Contains(err.Error(), "closed") {
					t.Errorf("%v, want that the database is closed", err)
				}
			})
			waiting(i + 1)
		}
		if err := g.writer.Close(); err != nil {
			t.Error(err)
		}
	})
	done.Wait()
}

// hold runs f while a transaction is in progress.
func hold(t *testing.T, g *testGroup, f func(waiting func(int))) {
	t.Helper()
	failed := errors.New("failed")
	if err := g.Do(t.Context(), func(context.Context, *sql.Tx) error {
		f(func(n int) {
			for g.Waiting() < n {
				time.Sleep(time.Millisecond)
			}
		})
		return failed
	}); !errors.Is(err, failed) {
		t.Errorf("the first transaction: %v", err)
	}
}

// A transaction that fails because of another of its group returns after the COMMIT of both. If there
// is none, it runs again.
func TestGroupSeen(t *testing.T) {
	t.Parallel()
	g := group(t, time.Minute)
	errSeen := errors.New("seen")
	var done sync.WaitGroup
	var first, second error
	hold(t, g, func(waiting func(int)) {
		done.Go(func() {
			first = g.Do(t.Context(), func(ctx context.Context, tx *sql.Tx) error { return insert(ctx, tx, 1) })
		})
		waiting(1)
		done.Go(func() {
			second = g.Do(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
				if exists(t, tx, 1) {
					return errSeen
				}
				return nil
			})
			if !exists(t, g.reader, 1) {
				t.Error("the second returned before the COMMIT of the first")
			}
		})
		waiting(2)
	})
	done.Wait()
	if first != nil || !errors.Is(second, errSeen) {
		t.Errorf("%v, %v, want success and %v", first, second, errSeen)
	}
	left, leave := context.WithCancel(t.Context())
	killed := errors.New("killed")
	hold(t, g, func(waiting func(int)) {
		done.Go(func() {
			first = g.Do(left, func(ctx context.Context, tx *sql.Tx) error { return insert(ctx, tx, 2) })
		})
		waiting(1)
		done.Go(func() {
			second = g.Do(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
				if exists(t, tx, 2) {
					return errSeen
				}
				return nil
			})
		})
		waiting(2)
		done.Go(func() {
			if err := g.Do(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
				leave()
				_, err := tx.ExecContext(ctx, "ROLLBACK")
				return errors.Join(killed, err)
			}); !errors.Is(err, killed) {
				t.Errorf("%v, want %v", err, killed)
			}
		})
		waiting(3)
	})
	done.Wait()
	if !errors.Is(first, context.Canceled) || second != nil || exists(t, g.reader, 2) {
		t.Errorf("%v, %v, row exists: %t; want %v and success", first, second, exists(t, g.reader, 2), context.Canceled)
	}
}

// While the database is locked, each that waits fails by itself. Then all works again.
func TestGroupLocked(t *testing.T) {
	t.Parallel()
	g := group(t, time.Minute)
	var done sync.WaitGroup
	hold(t, g, func(waiting func(int)) {
		for i := range 10 {
			done.Go(func() {
				err := g.Do(t.Context(), func(ctx context.Context, tx *sql.Tx) error { return insert(ctx, tx, int64(i)) })
				if !errors.Is(err, errBegin) && !errors.Is(err, driver.ErrBadConn) {
					t.Errorf("%v, want an error of BEGIN", err)
				}
			})
			waiting(i + 1)
		}
		g.percent.Store(100)
	})
	done.Wait()
	g.percent.Store(0)
	if err := g.Do(t.Context(), func(ctx context.Context, tx *sql.Tx) error { return insert(ctx, tx, 10) }); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A caller that leaves while its BEGIN waits for the lock of another process returns at once.
func TestGroupLeaderLeaves(t *testing.T) {
	t.Parallel()
	g := group(t, time.Minute)
	lock, err := g.reader.Begin() // immediate
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		result <- g.Do(ctx, func(ctx context.Context, tx *sql.Tx) error { return insert(ctx, tx, 1) })
	}()
	var next error
	var done sync.WaitGroup
	done.Go(func() {
		for g.busy() == nil {
			time.Sleep(time.Millisecond)
		}
		next = g.Do(t.Context(), func(ctx context.Context, tx *sql.Tx) error { return insert(ctx, tx, 2) })
	})
	for g.Waiting() == 0 {
		time.Sleep(time.Millisecond)
	}
	leave()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	done.Wait()
	if next != nil || exists(t, g.reader, 1) || !exists(t, g.reader, 2) {
		t.Errorf("the next transaction: %v; rows 1: %t, 2: %t", next, exists(t, g.reader, 1), exists(t, g.reader, 2))
	}
}

func (g *testGroup) busy() *write {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.leader
}

// A transaction that is to be alone shares a COMMIT neither with those before nor with those after it, and has no
// savepoint.
func TestGroupAlone(t *testing.T) {
	t.Parallel()
	g := group(t, time.Minute)
	commits := 0
	g.Committed = func() { commits++ }
	var done sync.WaitGroup
	hold(t, g, func(waiting func(int)) {
		for i := range 5 {
			done.Go(func() {
				if err := g.Do(Alone(t.Context(), i == 2), func(ctx context.Context, tx *sql.Tx) error {
					_, err := tx.ExecContext(ctx, "RELEASE write")
					if err == nil {
						_, err = tx.ExecContext(ctx, "SAVEPOINT write")
					}
					if savepoint := i == 1 || i == 4; savepoint != (err == nil) {
						t.Errorf("transaction %d: savepoint: %v, want %t", i, err, savepoint)
					}
					return insert(ctx, tx, int64(i))
				}); err != nil {
					t.Error(err)
				}
			})
			waiting(i + 1)
		}
	})
	done.Wait()
	if commits != 3 {
		t.Errorf("%d COMMITs, want 3", commits)
	}
}

// A goroutine that ends in a transaction leaves the others and the next ones alone.
func TestGroupGoexit(t *testing.T) {
	t.Parallel()
	g := group(t, time.Minute)
	var done sync.WaitGroup
	hold(t, g, func(waiting func(int)) {
		for i := range 3 {
			done.Go(func() {
				_ = g.Do(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
					if i == 1 {
						runtime.Goexit()
					}
					return insert(ctx, tx, int64(i))
				})
			})
			waiting(i + 1)
		}
	})
	done.Wait()
	if err := g.Do(t.Context(), func(ctx context.Context, tx *sql.Tx) error { return insert(ctx, tx, 9) }); err != nil || !exists(t, g.reader, 9) {
		t.Errorf("the next: %v", err)
	}
}
