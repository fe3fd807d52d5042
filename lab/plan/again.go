package plan

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"soundcheck/internal/cli"
)

// startName is the file in the state folder that records the last start.
const startName = "up.json"

// Start is how a lab was started last: lab up -again starts it with these flags.
type Start struct {
	Offset int      `json:"port_offset"`
	Args   []string `json:"args"` // of lab up, without -state
	// PartOfDB means that -db in Args lacks its password or its parameters: they are not stored.
	PartOfDB bool `json:"part_of_db,omitempty"`
}

// Args are the flags of lab up for this lab, without -state, -db and -store.
func (l Lab) Args() []string {
	args := []string{"-port-offset", strconv.Itoa(l.Offset), "-otlp-everywhere=" + strconv.FormatBool(l.OTLPEverywhere),
		"-from", string(cmp.Or(l.From, Auto)), "-grafana=" + strconv.FormatBool(l.Grafana)}
	for _, s := range l.UserServices {
		args = append(args, "-with", s.Name+"="+s.Command, "-with-timeout", s.Timeout.String(), "-with-dir", s.Dir)
		if s.URL != "" {
			args = append(args, "-with-url", s.Name+"="+s.URL)
		}
	}
	return args
}

func (l Lab) start() Start {
	db := cli.WithoutPassword(l.DB)
	return Start{l.Offset, append(l.Args(), "-db", db, "-store", strings.Join(l.Stores, ",")), db != l.DB}
}

// Record writes the start of a lab to its state folder.
func (l Lab) Record() error {
	b, err := json.MarshalIndent(l.start(), "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(l.State, startName)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	return os.Rename(path+".new", path)
}

// LastStart reads what Record wrote; nil: nothing.
func LastStart(state string) (*Start, error) {
	path := filepath.Join(state, startName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	s := new(Start)
	if err == nil {
		err = json.Unmarshal(b, s)
	}
	if err != nil {
		return nil, fmt.Errorf("read the flags of the last start, %s: %w", path, err)
	}
	return s, nil
}

// Of reports whether it is a start with the flags of l.
func (s *Start) Of(l Lab) bool { return slices.Equal(s.Args, l.start().Args) }
