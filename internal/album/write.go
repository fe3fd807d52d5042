package album

import (
	"crypto/sha256"
	"encoding/json"
)

// Fingerprint identifies the content of a Write. The same Write has another fingerprint if
// it is asynchronous.
func (w Write) Fingerprint(async bool) []byte {
	h := sha256.New()
	// Albums contain strings and numbers only: Encode cannot fail.
	_ = json.NewEncoder(h).Encode(struct {
		Async, Batch bool
		Albums       []Album
	}{async, w.Batch, w.Albums})
	return h.Sum(nil)
}

// Validate returns nil, or an *InvalidError that names every field of every album
// that is out of its limits, and duplicate ids.
func (w Write) Validate() error {
	var e InvalidError
	at := map[int64]int{}
	for i, a := range w.Albums {
		w.addErrors(&e, i, Validate(a))
		if a.ID == 0 {
			continue
		}
		if _, twice := at[a.ID]; twice {
			e.Add(InBatch(i, "id"), "duplicate id in the batch")
		}
		at[a.ID] = i
	}
	return e.Err()
}

func (w Write) addErrors(e *InvalidError, i int, err error) {
	invalid, ok := err.(*InvalidError)
	if !ok {
		return
	}
	for _, f := range invalid.Fields {
		if w.Batch {
			f.Field = InBatch(i, f.Field)
		}
		e.Fields = append(e.Fields, f)
	}
}

// IDs returns the ids of albums.
func IDs(albums []Album) []int64 {
	if albums == nil {
		return nil
	}
	ids := make([]int64, len(albums))
	for i, a := range albums {
		ids[i] = a.ID
	}
	return ids
}

// One returns the Write of a single album.
func One(a Album) Write { return Write{Albums: []Album{a}} }
