package db

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"soundcheck/internal/album"
	"soundcheck/store/db/lite"
)

// Create implements album.Service. The key is stored in the same transaction as the albums.
func (s *Store) Create(ctx context.Context, w album.Write) (created album.Created, err error) {
	end, err := s.running.begin(w.Key)
	if err != nil {
		return created, err
	}
	defer end()
	var outcome error // stored with the key
	err = s.tx(lite.Alone(ctx, len(w.Albums) > rowsPerInsert), "create albums", func(ctx context.Context, tx *sql.Tx) error {
		created, outcome = album.Created{}, nil
		old, err := s.replay(ctx, tx, w, false)
		if err != nil {
			return err
		}
		if old != nil {
			created, outcome = old.created(w)
			return nil
		}
		albums, at, err := s.create(ctx, tx, w)
		if outcome = err; err != nil && !(errors.Is(err, album.ErrExists) && w.Key != "") {
			return err
		}
		created.Albums = albums
		return s.remember(ctx, tx, w, false, newStoredResult(albums, at, outcome))
	})
	return created, cmp.Or(err, outcome)
}

// create inserts the albums of w. Ids that clients chose come first, so that none of them is
// assigned.
func (s *Store) create(ctx context.Context, tx *sql.Tx, w album.Write) ([]album.Album, time.Time, error) {
	albums, now := slices.Clone(w.Albums), album.Now()
	var chosen []int64
	var without []int // an id
	for i := range albums {
		albums[i].CreatedAt = now
		if id := albums[i].ID; id != 0 {
			chosen = append(chosen, id)
		} else {
			without = append(without, i)
		}
	}
	if len(chosen) > 0 {
		taken, err := s.taken(ctx, tx, chosen)
		if err != nil {
			return nil, now, err
		}
		if len(taken) > 0 {
			return nil, now, w.Exists(func(id int64) bool { _, found := slices.BinarySearch(taken, id); return found })
		}
		if err := s.insert(ctx, tx, albums, now, func(a album.Album) bool { return a.ID != 0 }); err != nil {
			return nil, now, err
		}
	}
	if len(without) == 0 {
		return albums, now, nil
	}
	ids, err := s.assign(ctx, tx, len(without))
	if err != nil {
		return nil, now, err
	}
	assigned := map[int64]bool{}
	for n, i := range without {
		albums[i].ID = ids[n]
		assigned[ids[n]] = true
	}
	return albums, now, s.insert(ctx, tx, albums, now, func(a album.Album) bool { return assigned[a.ID] })
}

func (s *Store) insert(ctx context.Context, tx *sql.Tx, albums []album.Album, now time.Time, want func(album.Album) bool) error {
	rows := make([]album.Album, 0, len(albums))
	for _, a := range albums {
		if want(a) {
			rows = append(rows, a)
		}
	}
	// In order, so that two batches do not deadlock.
	slices.SortFunc(rows, func(a, b album.Album) int { return cmp.Compare(a.ID, b.ID) })
	if s.dialect == sqlite {
		return s.insertRows(ctx, tx, rows, now)
	}
	_, err := s.exec(ctx, tx, insertArrays, append(arrays(rows), s.dialect.time(now))...)
	return err
}

// taken returns the ids that exist, in order.
func (s *Store) taken(ctx context.Context, tx *sql.Tx, ids []int64) ([]int64, error) {
	if s.dialect == postgres {
		return s.ids(ctx, tx, "SELECT id FROM albums WHERE id = ANY($1::bigint[]) ORDER BY id", ids)
	}
	b, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	return s.ids(ctx, tx, "SELECT id FROM albums WHERE id IN (SELECT value FROM json_each($1)) ORDER BY id", string(b))
}

func (s *Store) ids(ctx context.Context, tx *sql.Tx, query string, args ...any) (ids []int64, err error) {
	err = s.query(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, query, args...)
	return ids, err
}

// assign returns n free ids.
func (s *Store) assign(ctx context.Context, tx *sql.Tx, n int) ([]int64, error) {
	free := make([]int64, 0, n)
	for len(free) < n {
		ids, err := s.take(ctx, tx, n-len(free))
		if err != nil {
			return nil, err
		}
		taken, err := s.takenOf(ctx, tx, ids)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if _, found := slices.BinarySearch(taken, id); !found {
				free = append(free, id)
			}
		}
		if len(taken) == 0 {
			continue
		}
		// Clients chose them. There can be many in a row: skip them in one step.
		last, err := s.ids(ctx, tx, lastOfRun, taken[len(taken)-1])
		if err != nil {
			return nil, err
		}
		if err := s.query(ctx, tx, func(*sql.Rows) error { return nil }, s.dialect.skipIDs(), last[0]); err != nil {
			return nil, err
		}
	}
	return free, nil
}

func (s *Store) take(ctx context.Context, tx *sql.Tx, n int) ([]int64, error) {
	ids, err := s.ids(ctx, tx, s.dialect.nextIDs(), n)
	if err != nil || s.dialect == postgres {
		slices.Sort(ids)
		return ids, err
	}
	last := ids[0]
	ids = ids[:0]
	for id := last - int64(n) + 1; id <= last; id++ {
		ids = append(ids, id)
	}
	return ids, nil
}

// storedResult is the stored result of a Write with a key. It does not repeat the Write.
type storedResult struct {
	IDs       []int64        `json:"ids,omitempty"`
	CreatedAt time.Time      `json:"created_at,omitzero"`
	Operation string         `json:"operation,omitempty"`
	Failure   *album.Failure `json:"failure,omitempty"`
}

func newStoredResult(albums []album.Album, at time.Time, err error) storedResult {
	if err != nil {
		f := album.NewFailure(err)
		return storedResult{Failure: &f}
	}
	return storedResult{IDs: album.IDs(albums), CreatedAt: at}
}

func (a *storedResult) created(w album.Write) (album.Created, error) {
	c := album.Created{Replayed: true}
	if a.Failure != nil {
		return c, a.Failure.Err()
	}
	c.Albums = slices.Clone(w.Albums)
	for i := range c.Albums {
		c.Albums[i].ID, c.Albums[i].CreatedAt = a.IDs[i], a.CreatedAt
	}
	return c, nil
}

// replay returns the stored result of an earlier Write with the same key, or nil.
func (s *Store) replay(ctx context.Context, tx *sql.Tx, w album.Write, async bool) (*storedResult, error) {
	if w.Key == "" {
		return nil, nil
	}
	if s.dialect == postgres { // another instance may process it
		var free bool
		err := s.query(ctx, tx, func(rows *sql.Rows) error { return rows.Scan(&free) },
			"SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", w.Key)
		if err == nil && !free {
			err = album.ErrKeyRunning
		}
		if err != nil {
			return nil, err
		}
	}
	var fingerprint []byte
	var text string
	err := s.query(ctx, tx, func(rows *sql.Rows) error { return rows.Scan(&fingerprint, &text) },
		"SELECT fingerprint, answer FROM idempotency_keys WHERE key = $1 AND created_at >= $2",
		w.Key, s.dialect.time(album.Now().Add(-album.KeyLifetime)))
	if err != nil || fingerprint == nil {
		return nil, err
	}
	if !bytes.Equal(fingerprint, w.Fingerprint(async)) {
		return nil, album.ErrKeyReused
	}
	a := new(storedResult)
	return a, json.Unmarshal([]byte(text), a)
}

// remember stores the result of w. It replaces an expired one.
func (s *Store) remember(ctx context.Context, tx *sql.Tx, w album.Write, async bool, a storedResult) error {
	if w.Key == "" {
		return nil
	}
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, tx, `INSERT INTO idempotency_keys (key, fingerprint, answer, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at`,
		w.Key, w.Fingerprint(async), string(b), s.dialect.time(album.Now()))
	return err
}

// running are the keys of requests in progress in this process.
type running struct {
	mu   sync.Mutex
	keys map[string]bool
}

func (r *running) begin(key string) (end func(), err error) {
	if key == "" {
		return func() {}, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys[key] {
		return nil, album.ErrKeyRunning
	}
	if r.keys == nil {
		r.keys = map[string]bool{}
	}
	r.keys[key] = true
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.keys, key)
	}, nil
}
