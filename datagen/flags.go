package main

import (
	"flag"
	"io"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"soundcheck/datagen/file"
	"soundcheck/datagen/fill"
	"soundcheck/internal/album"
	"soundcheck/internal/cli"
	"soundcheck/internal/fakealbum"
)

type config struct {
	fill.Config
	seed    uint64
	from    uint64
	unicode float64
	invalid float64
	verify  bool
	url     string
	timeout time.Duration
	json    bool // the summary
	in, out stream
	skipBad bool
}

// stream is a file to read albums from or write them to. Without a name there is none.
type stream struct {
	name   string
	format file.Format
	gzip   bool
}

// Limits of album numbers. Their sum does not overflow.
const (
	maxFrom = 1 << 60
	maxN    = 10_000_000
)

func parse(args []string, getenv func(string) string, stdout io.Writer) (c config, err error) {
	f := cli.NewFlags("datagen [flags]", "SOUNDCHECK_DATAGEN", "Create fake albums in an album service.")
	var sql, format string
	var perSecond float64
	f.IntVar(&c.N, "n", 1000, "`number` of albums (1 to 10000000); default with -i: the whole file")
	f.Uint64Var(&c.seed, "seed", 1, "random `seed`")
	f.Uint64Var(&c.from, "from", 0, "`number` of the first album, in the sequence of the seed or the file")
	f.Float64Var(&c.unicode, "unicode", fakealbum.Unicode, "`share` of albums with &, quotes, accents, CJK, emoji, right-to-left text (0 to 1)")
	f.Float64Var(&c.invalid, "invalid", 0, "`share` of invalid albums; each must be rejected (0 to 1)")
	f.StringVar(&c.in.name, "i", "", "import a `file`: .ndjson, .json or .csv, also .gz; - is stdin (NDJSON)")
	f.BoolVar(&c.skipBad, "skip-bad", false, "with -i: skip invalid lines instead of stopping")
	f.StringVar(&c.out.name, "o", "", "write to a `file`: .ndjson, .json, .csv or .sql, also .gz; - is stdout (NDJSON)")
	f.StringVar(&sql, "sql", string(file.Postgres), "`dialect` of a .sql file: postgres (COPY) or sqlite (INSERT)")
	f.IntVar(&c.Batch, "batch", 1, "`albums` per request (1 to 10000)")
	f.BoolVar(&c.Async, "async", false, "create albums asynchronously (Prefer: respond-async) and wait until they are created")
	f.IntVar(&c.Concurrency, "concurrency", 16, "max `requests` in flight (1 to 1024)")
	f.Float64Var(&perSecond, "rate", 0, "max `albums` per second (0 to 1000000; 0: no limit)")
	f.DurationVar(&c.timeout, "timeout", 10*time.Second, "timeout per attempt (1ms to 10m)")
	f.DurationVar(&c.Patience, "patience", 30*time.Second, "abort when no album was created for this long (0s to 1h)")
	f.BoolVar(&c.verify, "verify", false, "at the end, read all pages and check that each album is stored once, unchanged")
	f.StringVar(&format, "format", "text", "summary format: text or json")
	f.StringVar(&c.url, "url", "http://127.0.0.1:9070", "`URL` of the service")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return c, err
	}
	switch {
	case c.N < 1 || c.N > maxN:
		return c, f.Errorf("-n %d is out of range: 1 to %d", c.N, maxN)
	case c.from > maxFrom:
		return c, f.Errorf("-from %d is out of range: 0 to %d", c.from, uint64(maxFrom))
	case !(c.unicode >= 0 && c.unicode <= 1):
		return c, f.Errorf("-unicode %g is out of range: 0 to 1", c.unicode)
	case !(c.invalid >= 0 && c.invalid <= 1):
		return c, f.Errorf("-invalid %g is out of range: 0 to 1", c.invalid)
	case sql != string(file.Postgres) && sql != string(file.SQLite):
		return c, f.Errorf("-sql %q is not postgres or sqlite", sql)
	}
	switch {
	case c.Batch < 1 || c.Batch > album.MaxBatch:
		return c, f.Errorf("-batch %d is out of range: 1 to %d", c.Batch, album.MaxBatch)
	case c.Concurrency < 1 || c.Concurrency > 1024:
		return c, f.Errorf("-concurrency %d is out of range: 1 to 1024", c.Concurrency)
	case !(perSecond >= 0 && perSecond <= 1e6):
		return c, f.Errorf("-rate %g is out of range: 0 to 1000000", perSecond)
	case c.timeout < time.Millisecond || c.timeout > 10*time.Minute:
		return c, f.Errorf("-timeout %s is out of range: 1ms to 10m", c.timeout)
	case c.Patience < 0 || c.Patience > time.Hour:
		return c, f.Errorf("-patience %s is out of range: 0s to 1h", c.Patience)
	case format != "text" && format != "json":
		return c, f.Errorf("-format %q is not text or json", format)
	}
	c.json = format == "json"
	if c.Rate = rate.Limit(perSecond); perSecond == 0 {
		c.Rate = rate.Inf
	}
	for _, s := range []struct {
		flag string
		*stream
	}{{"i", &c.in}, {"o", &c.out}} {
		if s.name == "" {
			continue
		}
		if s.format, s.gzip, err = file.Named(s.name, file.Format(sql)); err == nil && s.flag == "i" {
			err = file.Readable(s.format)
		}
		if err != nil {
			return c, f.Errorf("-%s: %v", s.flag, err)
		}
	}
	if _, err := cli.ParseURL(c.url); err != nil {
		return c, f.Errorf("-url: %v", err)
	}
	if err := c.together(f); err != nil {
		return c, err
	}
	return c, f.NoArgs()
}

// together rejects flags that have no effect with the others.
func (c *config) together(f *cli.Flags) (err error) {
	set := map[string]bool{}
	f.Visit(func(fl *flag.Flag) { set[fl.Name] = true })
	if c.in.name != "" && !set["n"] {
		c.N = 0 // all
	}
	for _, rule := range []struct {
		when  bool
		why   string
		flags string
	}{
		{c.out.name != "", "-o writes a file and calls no service", "i skip-bad invalid batch async concurrency rate timeout patience verify format url"},
		{c.in.name != "", "-i sends the albums of a file", "seed unicode invalid sql"},
		{c.in.name == "", "-i is not set", "skip-bad"},
		{c.out.name == "", "-o is not set", "sql"},
	} {
		for name := range strings.FieldsSeq(rule.flags) {
			if rule.when && set[name] {
				return f.Errorf("-%s has no effect: %s", name, rule.why)
			}
		}
	}
	return nil
}
