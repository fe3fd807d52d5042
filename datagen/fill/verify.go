package fill

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"soundcheck/internal/album"
)

// Expected are the albums that must be in a service. It stores 24 bytes per album.
type Expected struct {
	from uint64 // number of the first
	seed maphash.Seed
	list []expected
}

type expected struct {
	name    uint64 // hash of title and artist
	content uint64 // hash of everything
	number  uint32 // counted from the first
	seen    uint8  // times found unchanged; up to 2
	altered bool   // found with the same title and artist, but different content
}

// NewExpected returns a list without albums, for those with numbers from first on.
func NewExpected(first uint64) *Expected { return &Expected{from: first, seed: maphash.MakeSeed()} }

type contentKey struct {
	title, artist, genre string
	price                album.Cents
	year                 int
}

func (e *Expected) of(a album.Album) (name, content uint64) {
	return maphash.Comparable(e.seed, [2]string{a.Title, a.Artist}),
		maphash.Comparable(e.seed, contentKey{a.Title, a.Artist, a.Genre, a.Price, a.Year})
}

// Add adds the album of a number, less than 2^32 after the first. If it is added twice, it
// must be there twice.
func (e *Expected) Add(number uint64, a album.Album) {
	name, content := e.of(a)
	e.list = append(e.list, expected{name: name, content: content, number: uint32(number - e.from)})
}

// Verified is the result of reading all pages of a service.
type Verified struct {
	Albums  int `json:"albums"` // that must be there
	Once    int `json:"once"`   // stored once, unchanged
	Missing int `json:"missing"`
	Changed int `json:"changed"` // same title and artist, different content
	Twice   int `json:"twice"`   // or more often
	Others  int `json:"others"`  // other albums in the service
	// Examples are some of the missing, changed or duplicated albums.
	Examples []Example `json:"examples,omitempty"`
}

// Example is a missing, changed or duplicated album.
type Example struct {
	Number uint64 `json:"number"`
	Is     string `json:"is"` // missing, changed or twice
}

const maxExamples = 5

// OK reports whether every album is stored once, unchanged.
func (v *Verified) OK() bool { return v.Once == v.Albums }

func (v *Verified) String() string {
	if v.OK() {
		return fmt.Sprintf("each of %d albums is stored once, unchanged; %d other albums", v.Albums, v.Others)
	}
	var examples []string
	for _, x := range v.Examples {
		examples = append(examples, fmt.Sprintf("album %d (%s)", x.Number, x.Is))
	}
	return fmt.Sprintf("of %d albums %d are missing, %d changed, %d duplicated; %d other albums\n  examples: %s",
		v.Albums, v.Missing, v.Changed, v.Twice, v.Others, strings.Join(examples, ", "))
}

// Verify reads every page of a service once. Progress, if not nil, is called with how many
// albums it has read. It retries a page for up to patience.
func (e *Expected) Verify(ctx context.Context, s album.Service, patience time.Duration, progress func(albums int)) (*Verified, error) {
	slices.SortFunc(e.list, func(x, y expected) int {
		return cmp.Or(cmp.Compare(x.name, y.name), cmp.Compare(x.content, y.content), cmp.Compare(x.number, y.number))
	})
	v := &Verified{Albums: len(e.list)}
	read, last := 0, int64(0)
	for q := (album.Query{Limit: album.MaxLimit}); ; {
		page, err := list(ctx, s, q, patience)
		if err != nil {
			return nil, fmt.Errorf("verify: after %d albums: %w", read, err)
		}
		for _, a := range page.Albums {
			if a.ID <= last {
				return nil, fmt.Errorf("verify: album %d is listed after album %d", a.ID, last)
			}
			if last = a.ID; !e.see(a) {
				v.Others++
			}
		}
		if read += len(page.Albums); progress != nil {
			progress(read)
		}
		if page.Next == 0 {
			break
		}
		q.After = page.Next
	}
	slices.SortFunc(e.list, func(x, y expected) int { return cmp.Compare(x.number, y.number) })
	for _, x := range e.list {
		is := ""
		switch {
		case x.seen > 1:
			v.Twice++
			is = "twice"
		case x.seen == 1:
			v.Once++
			continue
		case x.altered:
			v.Changed++
			v.Others-- // it was counted there
			is = "changed"
		default:
			v.Missing++
			is = "missing"
		}
		if len(v.Examples) < maxExamples {
			v.Examples = append(v.Examples, Example{e.from + uint64(x.number), is})
		}
	}
	return v, nil
}

// see records an album of the service, and reports whether it is expected.
func (e *Expected) see(a album.Album) bool {
	name, content := e.of(a)
	i, _ := slices.BinarySearchFunc(e.list, name, func(x expected, name uint64) int { return cmp.Compare(x.name, name) })
	var same *expected // with this title and artist
	for ; i < len(e.list) && e.list[i].name == name; i++ {
		x := &e.list[i]
		if x.content == content && x.seen == 0 {
			x.seen = 1
			return true
		}
		if same == nil || x.content == content {
			same = x
		}
	}
	switch {
	case same == nil:
		return false
	case same.content == content:
		same.seen = 2
	default: // or another album, which by chance has the same title and artist
		same.altered = true
		return false
	}
	return true
}

// list reads a page, with retries.
func list(ctx context.Context, s album.Service, q album.Query, patience time.Duration) (album.Page, error) {
	begun := time.Now()
	for attempt := 0; ; attempt++ {
		page, err := s.List(ctx, q)
		if err == nil || !album.Later(err) {
			return page, err
		}
		wait, _ := pause(err, attempt)
		if time.Since(begun)+wait > patience {
			return page, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return page, ctx.Err()
		}
	}
}
