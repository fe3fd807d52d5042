// Package lite makes SQLite's driver fast enough for a service: connections cache prepared statements,
// and transactions that wait for the connection that writes are committed together.
package lite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/XSAM/otelsql"
	sqlitedriver "modernc.org/sqlite"
)

// connector opens connections of SQLite that cache prepared statements. The driver's own prepare
// each statement that a pool or a transaction runs anew, which takes longer than to run it.
type connector struct{ driver.Connector }

// Options are the options of a data source of the driver.
func Options(busyTimeout time.Duration) string {
	// In WAL mode readers and the writer do not wait for each other. FULL: a
	// commit is on the disk before it returns.
	const pragmas = "?_pragma=busy_timeout(%d)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=journal_size_limit(67108864)&_txlock=immediate"
	return fmt.Sprintf(pragmas, busyTimeout.Milliseconds())
}

// Writer are further options, of the connection that writes. A savepoint, and a statement that can fail at a later row,
// copy each page before they change it, by default to a file: two system calls per page, a fifth of the time of a batch.
// And the default cache, of 2 MB, is smaller than the pages of a batch, which SQLite then writes more than once.
// Both take up to about 40 MB, which GOMEMLIMIT does not count. Migrations do without: an index is sorted there, too.
const Writer = "&_pragma=temp_store(MEMORY)&_pragma=cache_size(-16384)"

// Open is otelsql.Open of the driver "sqlite".
func Open(_, source string, options ...otelsql.Option) (*sql.DB, error) {
	c, err := sqlitedriver.NewConnector(source)
	if err != nil {
		return nil, err
	}
	return otelsql.OpenDB(connector{c}, options...), nil
}

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	raw, ok := conn.(rawConn)
	if !ok {
		return nil, errors.Join(errors.New("SQLite's driver lacks methods of database/sql/driver"), conn.Close())
	}
	return &preparedConn{rawConn: raw, cache: map[string]*prepared{}}, nil
}

// rawConn has what the driver's connections implement.
type rawConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// Limits of the cache of a connection. A store has about 30, which are shorter. An
// insert of many albums is longer, and its text depends on their number.
const (
	maxCached = 64
	maxText   = 4096
)

type preparedConn struct {
	rawConn
	cache map[string]*prepared
}

type rawStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type prepared struct {
	stmt rawStmt
	busy bool // its rows are being read
}

// statement returns a prepared statement, or nil if the connection has to run the text itself.
func (c *preparedConn) statement(ctx context.Context, query string) (*prepared, error) {
	p := c.cache[query]
	switch {
	case p != nil && p.busy, len(query) > maxText:
		return nil, nil
	case p != nil:
		return p, nil
	case len(c.cache) >= maxCached:
		for text, old := range c.cache {
			if !old.busy {
				delete(c.cache, text)
				if err := old.stmt.Close(); err != nil {
					return nil, err
				}
				break
			}
		}
	}
	stmt, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	raw, ok := stmt.(rawStmt)
	if !ok {
		return nil, stmt.Close()
	}
	p = &prepared{stmt: raw}
	c.cache[query] = p
	return p, nil
}

// ExecContext implements driver.ExecerContext.
func (c *preparedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	p, err := c.statement(ctx, query)
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return c.rawConn.ExecContext(ctx, query, args)
	}
	return p.stmt.ExecContext(ctx, args)
}

// QueryContext implements driver.QueryerContext.
func (c *preparedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	p, err := c.statement(ctx, query)
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return c.rawConn.QueryContext(ctx, query, args)
	}
	rows, err := p.stmt.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	p.busy = true
	return &preparedRows{rows, p}, nil
}

// Close implements driver.Conn.
func (c *preparedConn) Close() error {
	var errs []error
	for _, p := range c.cache {
		errs = append(errs, p.stmt.Close())
	}
	clear(c.cache)
	return errors.Join(append(errs, c.rawConn.Close())...)
}

type preparedRows struct {
	driver.Rows
	of *prepared
}

// Close implements driver.Rows.
func (r *preparedRows) Close() error {
	defer func() { r.of.busy = false }()
	return r.Rows.Close()
}
