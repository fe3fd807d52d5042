// Package logs reads the logs of the lab's components: one file per component,
// NAME.log and, after a rotation, the older NAME.log.1. Lines are JSON or, after a
// crash, text. In a folder without such files, the Collector's otlp.jsonl has the records of
// all services.
//
// Files are read backwards in chunks until there are enough lines or the timeout expires, so
// the newest lines are available at once, whatever the size of the files.
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

// Query is a filter of log lines. Empty fields do not filter.
type Query struct {
	Services     []string
	Level        string // or above
	Text         string // in any part of a line; case does not count
	Trace        string // id
	Since, Until time.Time
	Limit        int    // lines
	After        string // a Page's Newest: only lines written since
	Before       string // a Page's Oldest: only lines written before it
}

// Page is the result of a Query, the newest line first.
type Page struct {
	Lines    []Line   `json:"lines"`
	Services []string `json:"services"` // that have a log
	Newest   string   `json:"newest"`   // cursor at the end of the logs
	Oldest   string   `json:"oldest"`   // cursor where the search stopped
	More     bool     `json:"more"`     // there may be more before Oldest
	// Reached is set if the timeout expired first: logs were searched
	// back to this time, at least.
	Reached time.Time `json:"reached,omitzero"`
}

// disorder is the max time by which lines of a log are out of order.
const disorder = 5 * time.Second

// parallel is the max number of logs read at a time.
const parallel = 4

// cursor has a place in each log.
type cursor map[string]position

func (c cursor) String() string {
	b, _ := json.Marshal(c) // numbers and texts
	return base64.RawURLEncoding.EncodeToString(b)
}

// ErrCursor means that After or Before of a Query is not a cursor of a Page.
var ErrCursor = errors.New("invalid cursor")

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

// Read searches the logs of a folder. When ctx ends it returns what was found by
// then.
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
	if len(services) == 0 {
		l, err := openOTLP(folder)
		if err != nil {
			return nil, err
		}
		if l != nil {
			defer l.close()
			return readOTLP(ctx, folder, l, q, after, before)
		}
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
			path := filepath.Join(folder, s.service+".log")
			l, err := open(s.service, maxLine, path, path+".1")
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

// readOTLP searches the Collector's files.
func readOTLP(ctx context.Context, folder string, l *log, q Query, after, before cursor) (*Page, error) {
	services, err := otlpServices(folder, l)
	if err != nil {
		return nil, err
	}
	s := newScan(q, otlpName)
	s.otlp = true
	if err := s.read(ctx, l, after, before); err != nil {
		return nil, err
	}
	p := merge([]*scan{s}, q.Limit)
	p.Services = services
	// Services send every half second: their records are in order, but not those of two services.
	slices.SortStableFunc(p.Lines, func(a, b Line) int { return b.Time.Compare(a.Time) })
	return p, nil
}

// merge merges the lines of all logs, up to limit. The
// next page has the others.
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
		s := scans[next]
		// A request of OTLP is not divided: the next page starts before it.
		if len(p.Lines) >= limit && (taken[next] == 0 || s.hits[taken[next]].at != s.hits[taken[next]-1].at) {
			p.More = true
			break
		}
		p.Lines = append(p.Lines, s.hits[taken[next]].line)
		oldest[s.service] = s.hits[taken[next]].at
		taken[next]++
	}
	for i, s := range scans {
		if taken[i] == len(s.hits) {
			oldest[s.service] = s.begin // past lines that do not match
		}
	}
	p.Newest, p.Oldest = newest.String(), oldest.String()
	return p
}
