// Package logs reads the logs that the lab's programs write: one file a program,
// NAME.log and, once that has become large, NAME.log.1 before it, of lines of JSON or, of
// what a program did not mean to write, of text.
//
// Files are read from their ends, in pieces, until enough was found or the time is over, so
// that what was written last is there at once, however large they are.
package logs

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Query is what is looked for. What is empty is not asked for.
type Query struct {
	Services     []string
	Level        string // or above
	Text         string // in any part of a line; case does not count
	Trace        string // id
	Since, Until time.Time
	Limit        int    // lines
	After        string // a Page's Newest: only what was written since
	Before       string // a Page's Oldest: only what was written before it
}

// Page is what was found, the newest line first.
type Page struct {
	Lines    []Line   `json:"lines"`
	Services []string `json:"services"` // that have a log
	Newest   string   `json:"newest"`   // how far the logs go
	Oldest   string   `json:"oldest"`   // up to where they were read
	More     bool     `json:"more"`     // there may be more before Oldest
	// Reached is set if the time was over before enough was found: logs were looked
	// through back to then, at least.
	Reached time.Time `json:"reached,omitzero"`
}

// disorder is how much later than its neighbours a line of a log can be written.
const disorder = 5 * time.Second

// parallel is how many logs are read at a time.
const parallel = 4

// cursor has a place in each log.
type cursor map[string]position

func (c cursor) String() string {
	b, _ := json.Marshal(c) // numbers and texts
	return base64.RawURLEncoding.EncodeToString(b)
}

// ErrCursor is that of a Query whose After or Before no Page has.
var ErrCursor = errors.New("that is no place in the logs")

func parseCursor(text string) (c cursor, err error) {
	if text == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil || c == nil {
		return nil, ErrCursor
	}
	return c, nil
}

// Services returns the names of the logs in a folder, in order.
func Services(folder string) ([]string, error) {
	list, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return []string{}, nil
	}
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, e := range list {
		if name, ok := strings.CutSuffix(e.Name(), ".log"); ok && e.Type().IsRegular() && !strings.HasPrefix(name, "build-") {
			names = append(names, name)
		}
	}
	return names, nil
}

// Read looks for lines in the logs of a folder, until ctx ends: what was found by then is
// the answer.
func Read(ctx context.Context, folder string, q Query) (*Page, error) {
	services, err := Services(folder)
	if err != nil {
		return nil, err
	}
	after, err := parseCursor(q.After)
	if err != nil {
		return nil, err
	}
	before, err := parseCursor(q.Before)
	if err != nil {
		return nil, err
	}
	var scans []*scan
	for _, s := range services {
		if len(q.Services) == 0 || slices.Contains(q.Services, s) {
			scans = append(scans, newScan(q, s))
		}
	}
	group := new(errgroup.Group)
	group.SetLimit(parallel)
	for _, s := range scans {
		group.Go(func() error {
			l, err := open(s.service, filepath.Join(folder, s.service+".log"))
			if err != nil {
				return err
			}
			defer l.close()
			return s.read(ctx, l, after, before)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	p := merge(scans, q.Limit)
	p.Services = services
	return p, nil
}

// merge puts together what was found in each log, as many lines as are asked for. The
// others are found again the next time.
func merge(scans []*scan, limit int) *Page {
	p := &Page{Lines: []Line{}}
	newest, oldest := cursor{}, cursor{}
	for _, s := range scans {
		newest[s.service], oldest[s.service] = s.end, s.top
		p.More = p.More || s.more
		if s.late && s.reached.After(p.Reached) {
			p.Reached = s.reached
		}
	}
	taken := make([]int, len(scans))
	for {
		next := -1
		for i, s := range scans {
			if taken[i] < len(s.hits) && (next < 0 || s.hits[taken[i]].order.After(scans[next].hits[taken[next]].order)) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		if len(p.Lines) == limit {
			p.More = true
			break
		}
		s := scans[next]
		p.Lines = append(p.Lines, s.hits[taken[next]].line)
		oldest[s.service] = s.hits[taken[next]].at
		taken[next]++
	}
	for i, s := range scans {
		if taken[i] == len(s.hits) {
			oldest[s.service] = s.begin // past what was looked at in vain
		}
	}
	p.Newest, p.Oldest = newest.String(), oldest.String()
	return p
}
