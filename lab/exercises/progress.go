package exercises

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Progress is what a user did in one exercise. Times are RFC 3339.
type Progress struct {
	StartedAt time.Time `json:"started_at"`         // last
	SolvedAt  time.Time `json:"solved_at,omitzero"` // first
	Answers   int       `json:"answers,omitempty"`  // checked
	Hints     int       `json:"hints,omitempty"`    // shown since the last start
	Solution  bool      `json:"solution,omitempty"` // shown before it was solved
}

// ReadProgress reads exercises.json of a state folder: progress by exercise. It is empty without the file.
func ReadProgress(state string) (map[string]*Progress, error) {
	all := map[string]*Progress{}
	path := filepath.Join(state, "exercises.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	} else if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("read the progress in %s: %w; correct the file or delete it", path, err)
	}
	for name, p := range all {
		if p == nil {
			return nil, fmt.Errorf("read the progress in %s: %s is null; correct the file or delete it", path, name)
		}
	}
	return all, nil
}

// Record changes the progress of one exercise.
func Record(state, name string, change func(*Progress)) error {
	all, err := ReadProgress(state)
	if err != nil {
		return err
	}
	if all[name] == nil {
		all[name] = new(Progress)
	}
	change(all[name])
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(state, "exercises.json")
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
