package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Keep takes a connection for reads until release is called, as code does that does not close its
// result.
func (s *Store) Keep(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, acquireTimeout)
	defer cancel()
	c, err := s.reader.Conn(ctx)
	if err != nil {
		return nil, notReady(err)
	}
	return func() { _ = c.Close() }, nil
}

// Lock takes SQLite's lock for writes until release is called. Its connection is not one of the
// store's, as that of another process.
func (s *Store) Lock(ctx context.Context) (release func(), err error) {
	if s.dialect != sqlite {
		return nil, errors.New("only SQLite has one lock for writes")
	}
	other, err := sql.Open("sqlite", fmt.Sprintf("file:%s?_pragma=busy_timeout(%d)", s.path, busyTimeout.Milliseconds()))
	if err != nil {
		return nil, err
	}
	// The transaction must not end with ctx: only its beginning may.
	c, err := other.Conn(ctx)
	if err == nil {
		_, err = c.ExecContext(ctx, "BEGIN IMMEDIATE")
	}
	if err != nil {
		return nil, errors.Join(err, other.Close())
	}
	return func() {
		_, _ = c.ExecContext(context.Background(), "ROLLBACK")
		_ = c.Close()
		_ = other.Close()
	}, nil
}
