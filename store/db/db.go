// Package db stores albums in SQLite or in PostgreSQL. What a call has acknowledged is on disk, or
// committed on the server. While the database is down, restarting or locked, calls return
// album.ErrNotReady. The store recovers without a restart.
//
// dialect.go has the statements that differ between the two databases.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/XSAM/otelsql"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/album"
	"soundcheck/internal/optional"
	"soundcheck/store/db/lite"
)

// Timeouts of a call for a connection, for a lock, and in total. The tests, many at once on one
// disk, have longer ones.
var (
	acquireTimeout = 2 * time.Second
	busyTimeout    = time.Second // another process holds the lock
	queryTimeout   = 10 * time.Second
	groupTime      = 10 * time.Millisecond // for transactions of SQLite with one COMMIT, after which the first one returns
	closeTimeout   = 10 * time.Second
)

// Config configures a Store.
type Config struct {
	URL string // sqlite:PATH or postgres://…; see Parse
	// MaxConns limits the connections. PostgreSQL: all, at least 2, half of them for reads.
	// SQLite: those for reads.
	MaxConns int
	// SlowQuery is the duration from which a statement is logged; 0: none.
	SlowQuery      time.Duration
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	Logger         *slog.Logger
}

// Store is an album.Service with a database.
type Store struct {
	config  Config
	dialect dialect
	path    string  // of SQLite's file
	reader  *sql.DB // for reads
	writer  *sql.DB // SQLite has one connection that writes
	log     *slog.Logger
	running running
	group   *lite.Group // of SQLite's transactions
	queue   *queue

	lastCommit  atomic.Int64 // time, in ns since 1970
	lastFailure atomic.Int64 // last time that the database was unavailable, in ns since 1970
	source      string       // see migrator

	metrics []metric.Registration

	stop func()
	done sync.WaitGroup // background goroutines
}

var _ album.Service = (*Store)(nil)

const (
	connectTimeout = 2 * time.Second
	readyTimeout   = time.Second
	busyFor        = 5 * time.Second // a busy database is ready if the last COMMIT is no older
)

// Parse parses a database URL. It returns the driver's name, its data source, and the path of an
// SQLite file.
func Parse(s string) (driver, source, path string, err error) {
	if path, ok := strings.CutPrefix(s, "sqlite:"); ok {
		if path == "" || strings.ContainsAny(path, "?#%") {
			return "", "", "", fmt.Errorf("%q must be sqlite:PATH, without the characters ?#%% in the path", s)
		}
		abs, err := filepath.Abs(path)
		return "sqlite", "file:" + abs, abs, err
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", "", "", errors.New("not a valid URL") // the parser's error can contain the password
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", "", "", errors.New("must be memory, sqlite:PATH or postgres://…")
	}
	if postgresql == nil {
		return "", "", "", errNoPostgres
	}
	q := u.Query()
	if !q.Has("connect_timeout") {
		q.Set("connect_timeout", fmt.Sprint(connectTimeout.Seconds()))
	}
	u.RawQuery = q.Encode()
	return "pgx", u.String(), "", nil
}

// Open opens a database without a query: see Migrate, Start and Ready.
func Open(c Config) (_ *Store, err error) {
	driver, source, path, err := Parse(c.URL)
	if err != nil {
		return nil, err
	}
	if c.MaxConns == 0 {
		c.MaxConns = 16
	}
	c.TracerProvider, c.MeterProvider, c.Logger = optional.TracerProvider(c.TracerProvider), optional.MeterProvider(c.MeterProvider), optional.Logger(c.Logger)
	s := &Store{config: c, path: path, log: c.Logger, dialect: postgres, stop: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if driver == "sqlite" {
		s.dialect = sqlite
		s.group = &lite.Group{
			Acquire: func(ctx context.Context) (*sql.Conn, error) { return acquire(ctx, s.writer) },
			Wait:    limitWait, Limit: limit, MaxTime: groupTime, Tracer: c.TracerProvider.Tracer("soundcheck/store/db"),
			Committed: func() { s.lastCommit.Store(time.Now().UnixNano()) },
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		source += lite.Options(busyTimeout)
		s.source = source
		if s.writer, err = s.open(driver, source+lite.Writer, "writer", 1); err != nil {
			return nil, err
		}
		s.reader, err = s.open(driver, source+"&_query_only=1", "reader", c.MaxConns)
		return s, err
	}
	s.source = source
	// Lock waits time out, as on SQLite.
	source += fmt.Sprintf("&lock_timeout=%d", busyTimeout.Milliseconds())
	// A slow COMMIT holds its connection for as long as the disk takes, and reads must not
	// wait for one of those. In one pool of 16, twenty creates per second whose COMMITs stall
	// for a second held all connections, and the proxy shed the reads.
	readers := c.MaxConns / 2
	if s.writer, err = s.open(driver, source, "writer", c.MaxConns-readers); err != nil {
		return nil, err
	}
	s.reader, err = s.open(driver, source, "reader", readers)
	return s, err
}

func (s *Store) open(name, source, pool string, conns int) (*sql.DB, error) {
	system := attribute.String("db.system.name", s.dialect.system())
	options := []otelsql.Option{
		otelsql.WithTracerProvider(s.config.TracerProvider), otelsql.WithMeterProvider(s.config.MeterProvider),
		otelsql.WithAttributes(system),
		otelsql.WithSpanNameFormatter(spanName), otelsql.WithAttributesGetter(queryText),
		otelsql.WithSpanOptions(otelsql.SpanOptions{
			OmitConnResetSession: true, OmitConnectorConnect: true, OmitRows: true, OmitConnPrepare: true, DisableErrSkip: true, DisableQuery: true,
			SpanFilter:  lite.WantSpan,
			RecordError: func(err error) bool { return !errors.Is(err, context.Canceled) },
		}),
	}
	open := otelsql.Open
	if s.dialect == sqlite {
		open = lite.Open
	}
	db, err := open(name, source, options...)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	if s.dialect == sqlite {
		db.SetConnMaxIdleTime(0) // its page cache is worth the memory
	}
	reg, err := otelsql.RegisterDBStatsMetrics(db, otelsql.WithMeterProvider(s.config.MeterProvider),
		otelsql.WithAttributes(system, attribute.String("db.client.connection.pool.name", pool)))
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.metrics = append(s.metrics, reg)
	return db, nil
}

// Start starts the operation queue, the cleanup and the metrics. The schema must exist.
func (s *Store) Start(ctx context.Context) error {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	var err error
	if s.queue, err = s.startQueue(ctx); err != nil {
		return err
	}
	s.connect(ctx)
	s.done.Go(func() { s.sweep(ctx) })
	reg, err := album.Observe(s.config.MeterProvider, s.Holdings)
	if err != nil {
		return err
	}
	s.metrics = append(s.metrics, reg)
	return nil
}

// warmConns is the number of connections per pool that are opened at startup. More are opened on
// demand: the server's connections are shared.
const warmConns = 8

// connect opens connections before requests arrive. A request without an idle connection opens
// one and waits for it, even if another becomes idle earlier (database/sql): on a busy host the
// first reads waited for seconds. Connections are opened one by one, because a busy server is too
// slow for many at once. After acquireTimeout, requests open the rest.
func (s *Store) connect(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, acquireTimeout)
	defer cancel()
	for _, pool := range []*sql.DB{s.reader, s.writer} {
		for range min(pool.Stats().MaxOpenConnections, warmConns) {
			c, err := pool.Conn(ctx)
			if err != nil {
				return
			}
			defer c.Close() // keep it busy, so that the next call opens another
		}
	}
}

// Close is Shutdown within closeTimeout.
func (s *Store) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return s.Shutdown(ctx)
}

// Shutdown waits within ctx for running operations, stops everything that Start started, and closes
// the database.
func (s *Store) Shutdown(ctx context.Context) error {
	var errs []error
	if s.queue != nil {
		err := s.queue.close(ctx)
		errs = append(errs, err)
		if err == nil { // otherwise an operation still runs, and the process keeps the lock until it exits
			defer s.queue.unlock()
		}
	}
	s.stop()
	s.done.Wait()
	for _, reg := range s.metrics {
		errs = append(errs, reg.Unregister())
	}
	if s.reader != nil {
		errs = append(errs, s.reader.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	return errors.Join(errs...)
}

// Ready returns nil if the database is writable.
func (s *Store) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	c, err := s.writer.Conn(ctx)
	if err != nil {
		// Every connection is in a transaction: busy, not unavailable.
		pool, commit := s.writer.Stats(), s.lastCommit.Load()
		if pool.InUse >= pool.MaxOpenConnections && commit > s.lastFailure.Load() && time.Since(time.Unix(0, commit)) < busyFor {
			return nil
		}
		return notReady(err)
	}
	defer c.Close()
	tx, err := c.BeginTx(ctx, nil)
	if err == nil {
		err = errors.Join(s.readySchema(ctx, tx), tx.Rollback())
	}
	return notReady(err)
}

func (s *Store) readySchema(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, "SELECT id FROM albums LIMIT 1")
	if err != nil {
		return err
	}
	return errors.Join(rows.Close(), rows.Err())
}
