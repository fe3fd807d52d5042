package db

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"time"

	"soundcheck/internal/album"
	"soundcheck/store/db/lite"
)

// holdingsTimeout is short: the export of metrics waits for it.
const holdingsTimeout = time.Second

// Holdings returns the store's gauges. Its cost does not depend on the number of albums. Instances
// that share a database return the same values.
func (s *Store) Holdings(ctx context.Context) (h album.Holdings, err error) {
	ctx, cancel := context.WithTimeout(lite.WithoutSpans(ctx), holdingsTimeout)
	defer cancel()
	err = s.read(ctx, func(c conn) error {
		err := s.query(ctx, c, func(rows *sql.Rows) error {
			var state string
			var n int64
			err := rows.Scan(&state, &n)
			if state == "running" {
				h.Running = n
			} else {
				h.Queued += n
			}
			return err
		}, "SELECT state, count(*) FROM river_job WHERE state IN ('available', 'pending', 'retryable', 'running', 'scheduled') GROUP BY state")
		if err != nil || s.dialect == sqlite {
			return err
		}
		return s.query(ctx, c, func(rows *sql.Rows) error { return rows.Scan(&h.Bytes) },
			"SELECT pg_total_relation_size('albums')")
	})
	if err != nil || s.dialect == postgres {
		return h, s.wrap(ctx, "measure the store", err)
	}
	// Recent writes are in the WAL file.
	for _, path := range []string{s.path, s.path + "-wal"} {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return h, err
		}
		h.Bytes += info.Size()
	}
	return h, nil
}
