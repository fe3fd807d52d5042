package lite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace/noop"
	sqlitedriver "modernc.org/sqlite"
)

var (
	errBegin     = errors.New("injected: no BEGIN")
	errSavepoint = errors.New("injected: no savepoint")
	errCommit    = errors.New("injected: rolled back instead of COMMIT")
	errUnknown   = errors.New("injected: committed, but the answer is lost")
)

// faulty opens connections whose transactions fail at random.
type faulty struct {
	connector
	percent *atomic.Int64
}

func (f faulty) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := f.connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &faultyConn{c.(*preparedConn), f}, nil
}

func (f faulty) fails() bool { return rand.Int64N(100) < f.percent.Load() }

type faultyConn struct {
	*preparedConn
	faulty faulty
}

func (c *faultyConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if c.faulty.fails() {
		return nil, []error{errBegin, driver.ErrBadConn}[rand.IntN(2)]
	}
	tx, err := c.preparedConn.BeginTx(ctx, o)
	return faultyTx{tx, c}, err
}

func (c *faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if strings.HasSuffix(query, " write") && c.faulty.fails() {
		if rand.IntN(4) == 0 {
			panic("driver")
		}
		return nil, []error{errSavepoint, driver.ErrBadConn}[rand.IntN(2)]
	}
	return c.preparedConn.ExecContext(ctx, query, args)
}

type faultyTx struct {
	driver.Tx
	c *faultyConn
}

func (t faultyTx) Commit() error {
	switch {
	case !t.c.faulty.fails():
		return t.Tx.Commit()
	case rand.IntN(2) == 0:
		return errors.Join(errCommit, t.Rollback())
	}
	return errors.Join(errUnknown, t.Tx.Commit())
}

// testGroup is a Group of a new database with a table a (n).
type testGroup struct {
	*Group
	writer, reader *sql.DB
	percent        atomic.Int64 // share of failures
}

func group(t *testing.T, limit time.Duration) *testGroup {
	t.Helper()
	source := "file:" + filepath.Join(t.TempDir(), "a.db") + Options(30*time.Second)
	c, err := sqlitedriver.NewConnector(source)
	if err != nil {
		t.Fatal(err)
	}
	g := new(testGroup)
	writer, err := sqlitedriver.NewConnector(source + Writer)
	if err != nil {
		t.Fatal(err)
	}
	g.writer, g.reader = sql.OpenDB(faulty{connector{writer}, &g.percent}), sql.OpenDB(connector{c})
	g.writer.SetMaxOpenConns(1)
	t.Cleanup(func() { g.writer.Close(); g.reader.Close() })
	if _, err := g.reader.Exec("CREATE TABLE a (n INTEGER PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	timeout := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, limit)
	}
	g.Group = &Group{Acquire: g.writer.Conn, Wait: timeout, Limit: timeout, MaxTime: time.Minute, Committed: func() {}, Tracer: noop.NewTracerProvider().Tracer("")}
	return g
}

const selectRow = "SELECT EXISTS (SELECT 1 FROM a WHERE n = $1)"

func exists(t *testing.T, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, n int64) bool {
	var found bool
	if err := db.QueryRowContext(context.WithoutCancel(t.Context()), selectRow, n).Scan(&found); err != nil {
		t.Error(err)
	}
	return found
}

func insert(ctx context.Context, tx *sql.Tx, n int64) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO a VALUES ($1)", n)
	return err
}

// slow takes SQLite longer than a transaction may.
const slow = "INSERT INTO a WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 1000000000) SELECT x FROM c WHERE x < 0"

// Whatever fails, panics or leaves: rows are there if and only if their transaction succeeded, or its
// COMMIT has no known result. What a failed one has seen has been committed. None hangs.
func TestGroupChaos(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]time.Duration{"failures": time.Minute, "failures and timeouts": 50 * time.Millisecond} {
		timeouts := limit < time.Minute
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for limit := limit; ; limit *= 2 { // longer if a busy machine is too slow for it
				g := group(t, limit)
				g.percent.Store(5)
				stop := func() {}
				if timeouts {
					stop = locks(t, g.reader)
				}
				succeeded := chaos(t, g, timeouts)
				if stop(); succeeded >= 10 {
					return
				} else if limit >= time.Minute {
					t.Fatalf("only %d transactions succeeded", succeeded)
				}
			}
		})
	}
}

// locks holds the lock, as another process does, again and again until stop is called.
func locks(t *testing.T, db *sql.DB) (stop func()) {
	end := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		for {
			tx, err := db.Begin()
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(rand.N(20 * time.Millisecond))
			_ = tx.Rollback()
			select {
			case <-end:
				return
			case <-time.After(rand.N(20 * time.Millisecond)):
			}
		}
	})
	return func() { close(end); done.Wait() }
}

// chaos returns how many transactions succeeded.
func chaos(t *testing.T, g *testGroup, timeouts bool) int64 {
	const goroutines, rounds = 24, 60
	errSeen, errFail := errors.New("seen"), errors.New("failed")
	var results sync.Map // of a row
	var succeeded atomic.Int64
	var done sync.WaitGroup
	for i := range int64(goroutines) {
		done.Go(func() {
			for round := range int64(rounds) {
				n, other := i*rounds+round, rand.Int64N(goroutines)*rounds+round
				ctx, leave := context.WithCancel(t.Context())
				what := rand.IntN(20)
				if what < 4 {
					time.AfterFunc(rand.N(5*time.Millisecond), leave)
				}
				err := errFail
				func() {
					defer func() { _ = recover() }()
					err = g.Do(Alone(ctx, what%5 == 0), func(ctx context.Context, tx *sql.Tx) error {
						var seen bool
						err := tx.QueryRowContext(ctx, selectRow, other).Scan(&seen)
						if err == nil {
							err = insert(ctx, tx, n)
						}
						if err != nil {
							return err
						}
						switch {
						case what == 4:
							return errFail
						case what == 5:
							panic("caller")
						case what == 6: // as after a full disk
							_, err := tx.ExecContext(ctx, "ROLLBACK")
							return errors.Join(errFail, err)
						case what == 7:
							leave()
						case what == 8 && timeouts:
							_, err := tx.ExecContext(ctx, slow)
							return err
						case what > 12 && seen && other != n:
							return errSeen
						}
						return nil
					})
				}()
				leave()
				if err == nil {
					succeeded.Add(1)
				}
				results.Store(n, fmt.Sprint(err))
				if errors.Is(err, errSeen) && !exists(t, g.reader, other) {
					t.Errorf("transaction %d failed because of row %d, which was not committed", n, other)
				}
			}
		})
	}
	done.Wait()
	count := 0
	results.Range(func(n, result any) bool {
		count++
		text := result.(string)
		if got := exists(t, g.reader, n.(int64)); got != (text == "<nil>") && !strings.Contains(text, errUnknown.Error()) {
			t.Errorf("row %d exists: %t, its transaction: %s", n, got, text)
		}
		return true
	})
	if count != goroutines*rounds || g.Waiting() != 0 || g.busy() != nil {
		t.Errorf("%d results, %d still wait", count, g.Waiting())
	}
	t.Logf("%d of %d transactions succeeded", succeeded.Load(), count)
	return succeeded.Load()
}
