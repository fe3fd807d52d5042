package db

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	"soundcheck/internal/album"
)

// sweepBatch is the number of rows per statement of the cleanup: on SQLite it blocks other writes.
const sweepBatch = 500

// sweep requeues operations without a job, and deletes expired keys and operations, at startup and
// once an hour.
func (s *Store) sweep(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := s.requeue(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "requeue unfinished operations failed", slog.String("error", err.Error()))
		}
		before := s.dialect.time(album.Now().Add(-album.KeyLifetime))
		for _, f := range []struct{ table, key, time string }{
			{"idempotency_keys", "key", "created_at"},
			{"operations", "id", "finished_at"},
		} {
			if err := s.deleteExpired(ctx, f.table, f.key, f.time, before); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "delete expired rows failed", slog.String("table", f.table), slog.String("error", err.Error()))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// deleteExpired deletes the rows of a table whose time is before, in batches.
func (s *Store) deleteExpired(ctx context.Context, table, key, column string, before any) error {
	// On PostgreSQL several stores can run it at the same time.
	query := fmt.Sprintf("DELETE FROM %[1]s WHERE %[2]s IN (SELECT %[2]s FROM %[1]s WHERE %[3]s < $1 ORDER BY %[3]s LIMIT %[4]d%[5]s)",
		table, key, column, sweepBatch, s.dialect.of("", " FOR UPDATE SKIP LOCKED"))
	return inBatches(ctx, func() (int64, error) {
		result, err := s.writer.ExecContext(ctx, query, before)
		if err != nil {
			return 0, err
		}
		return result.RowsAffected()
	})
}

// requeue adds jobs for unfinished operations without one, as after a reverted migration of the
// queue.
func (s *Store) requeue(ctx context.Context) error {
	var lost []string
	err := s.read(ctx, func(c conn) (err error) { // a reader: the query scans every operation
		lost, err = s.lost(ctx, c)
		return err
	})
	if err != nil {
		return err
	}
	return inBatches(ctx, func() (int64, error) {
		n := min(len(lost), sweepBatch)
		batch := lost[:n]
		lost = lost[n:]
		if n == 0 {
			return 0, nil
		}
		return int64(n), s.tx(ctx, "requeue operations", func(ctx context.Context, tx *sql.Tx) error {
			for _, id := range batch {
				if _, err := s.queue.client.InsertTx(ctx, tx, job{id}, nil); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// lost returns unfinished operations without a job.
func (s *Store) lost(ctx context.Context, c conn) (ids []string, err error) {
	err = s.query(ctx, c, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, `SELECT id FROM operations WHERE status IN ('queued', 'running') AND id NOT IN (
SELECT args->>'operation' FROM river_job WHERE kind = 'operation' AND state NOT IN ('cancelled', 'completed', 'discarded'))`)
	return ids, err
}

// inBatches calls f until it changes less than a full batch. Between calls it waits as long as the
// last one took, so that requests have the database at least half of the time.
func inBatches(ctx context.Context, f func() (int64, error)) error {
	for {
		begun := time.Now()
		n, err := f()
		if err != nil || n < sweepBatch {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Since(begun)):
		}
	}
}
