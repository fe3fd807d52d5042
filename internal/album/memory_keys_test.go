package album

import (
	"context"
	"errors"
	"testing"
	"time"
)

func keyed(key string, price Cents) Write {
	return Write{Key: key, Albums: []Album{{Title: "Title", Artist: "Artist", Price: price}}}
}

// A key expires after a day, and uses no memory then.
func TestKeyLifetime(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	m.Max = 2
	for _, key := range []string{"a", "b"} {
		if _, err := m.Create(t.Context(), keyed(key, 1)); err != nil {
			t.Fatal(err)
		}
	}
	m.albums.Clear()
	if _, err := m.Create(t.Context(), keyed("c", 1)); !errors.Is(err, ErrFull) {
		t.Errorf("more keys than there may be albums: %v, want ErrFull", err)
	}
	if _, err := m.Create(t.Context(), keyed("a", 2)); !errors.Is(err, ErrKeyReused) {
		t.Errorf("another request: %v, want ErrKeyReused", err)
	}
	for key, a := range m.answers {
		a.at = time.Now().Add(-KeyLifetime - time.Second)
		m.answers[key] = a
	}
	if c, err := m.Create(t.Context(), keyed("a", 2)); err != nil || c.Replayed {
		t.Errorf("a day later: %+v, %v, want a new album", c, err)
	}
	if len(m.answers) != 1 || len(m.keys) != 1 || m.keptIDs != 2 {
		t.Errorf("%d answers, %d keys, weight %d are left, want 1, 1, 2", len(m.answers), len(m.keys), m.keptIDs)
	}
}

// The memory of finished operations is bounded; the result of a
// key is remembered all the same.
func TestOperationsBounded(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	first, _, err := m.Submit(t.Context(), keyed("k", 1))
	if err != nil {
		t.Fatal(err)
	}
	w := Write{Batch: true, Albums: make([]Album, MaxBatch)}
	for range maxFinished/MaxBatch + 5 {
		if _, _, err := m.Submit(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		m.Close(t.Context()) // wait for it
	}
	if m.kept > maxFinished || m.queued != 0 {
		t.Errorf("%d albums are kept, %d queued, want at most %d, 0", m.kept, m.queued, maxFinished)
	}
	if _, err := m.Operation(t.Context(), first.ID); !errors.Is(err, ErrNoOperation) {
		t.Errorf("the first operation: %v, want it to be forgotten", err)
	}
	again, replayed, err := m.Submit(t.Context(), keyed("k", 1))
	if err != nil || !replayed || again.ID != first.ID || again.Status != Succeeded {
		t.Errorf("the first request again: %+v, %v, %v", again, replayed, err)
	}
}

// Close whose time is over reports the operations that have not finished, and none if there
// are none.
func TestCloseInNoTime(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	m := NewMemory()
	if err := m.Close(over); err != nil {
		t.Errorf("no operation: Close = %v", err)
	}
	if _, _, err := m.Submit(t.Context(), keyed("k", 1)); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Errorf("Close = %v", err)
	}
	if err := m.Close(over); err != nil {
		t.Errorf("a finished operation: Close = %v", err)
	}
	m.working = workers // so that none is started
	if _, _, err := m.Submit(t.Context(), keyed("", 1)); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(over); !errors.Is(err, context.Canceled) || err.Error() != "1 operations unfinished: context canceled" {
		t.Errorf("a queued operation: Close = %v", err)
	}
}
