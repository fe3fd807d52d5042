package verify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"soundcheck/internal/fakealbum"
	"soundcheck/loadgen/engine"
	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
)

// Load describes the requests that were sent, by which program, and when.
type Load struct {
	RunID      string // of loadgen
	Report     report.Report
	Begin, End time.Time // of all of it
	Traces     []string  // of loadgen's requests

	Datagen    string // value of the resource attribute verifyKey of datagen's spans
	Posts      int    // requests of datagen that create albums, at least
	Operations int    // of these, the asynchronous ones

	// Caller is the user agent of a request without trace context, Canary the artist in its
	// query.
	Caller, Canary string

	// Private are the titles and artists that were sent: they must not be in telemetry.
	Private []string
}

// verifyKey is the resource attribute that distinguishes the spans of a verification
// from others.
const verifyKey = "soundcheck.verify"

// mix has every scenario of loadgen. Streams are rare: each reads all albums.
const mix = "get=50,list=10,page=8,miss=8,create=10,update=5,delete=4,batch=2,stream=1,bad=2"

// Generator sends the load.
type Generator struct {
	Loadgen, Datagen string // paths of the binaries
	OTLP             string // URL for their telemetry
	Proxy            string
	Rate             float64
	Duration         time.Duration
}

// Sizes of datagen's part.
const (
	asyncAlbums, asyncBatch = 40, 10
	singleAlbums            = 20
)

// Hundred is the min number of requests of a load.
const Hundred = 100

// grace is the time for a program to exit after its load.
const grace = time.Minute

// Generate sends datagen's albums, a request without trace context,
// and loadgen's attack.
func (g Generator) Generate(ctx context.Context) (*Load, error) {
	dir, err := os.MkdirTemp("", "soundcheck-verify-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	name := fmt.Sprintf("%08x", rand.Uint32())
	l := &Load{Begin: time.Now(), Datagen: name, Caller: "soundcheck-verify/" + name, Canary: "Canary of " + name}
	l.Private = append(l.Private, l.Canary)
	if err := g.datagen(ctx, l); err != nil {
		return nil, err
	}
	if err := g.call(ctx, l); err != nil {
		return nil, err
	}
	// For multiples of 100 the 99th percentile is one request, by any definition.
	requests := int(g.Rate*g.Duration.Seconds()) / Hundred * Hundred
	record := filepath.Join(dir, "requests")
	out, err := g.program(ctx, l, g.Duration, g.Loadgen, "-url", g.Proxy, "-rate", fmt.Sprint(g.Rate), "-duration", g.Duration.String(), "-n", fmt.Sprint(requests),
		"-mix", mix, "-seed", fmt.Sprint(rand.Uint32()), "-format", "json", "-quiet", "-explain=false", "-keep", "", "-record", record)
	if e := json.Unmarshal(out, &l.Report); e != nil || l.Report.RunID == "" {
		return nil, fmt.Errorf("loadgen wrote no report: %w", errors.Join(err, e))
	}
	l.End = time.Now()
	l.RunID = l.Report.RunID
	ids := engine.NewIDs(l.RunID)
	for n := range l.Report.Sent {
		l.Traces = append(l.Traces, ids.Trace(uint64(n)).String())
	}
	return l, l.readRecord(record)
}

// datagen creates albums one by one, and asynchronously. Each verification has a new seed:
// the store would replay its responses for a known one.
func (g Generator) datagen(ctx context.Context, l *Load) error {
	for _, part := range []struct {
		albums int
		more   []string
	}{
		{singleAlbums, nil},
		{asyncAlbums, []string{"-batch", fmt.Sprint(asyncBatch), "-async"}},
	} {
		seed := rand.Uint32()
		args := append([]string{"-url", g.Proxy, "-n", fmt.Sprint(part.albums), "-seed", fmt.Sprint(seed), "-format", "json"}, part.more...)
		if _, err := g.program(ctx, l, 0, g.Datagen, args...); err != nil {
			return err
		}
		for i := range part.albums {
			a := fakealbum.New(uint64(seed), uint64(i))
			l.Private = append(l.Private, a.Title, a.Artist)
		}
	}
	l.Operations = asyncAlbums / asyncBatch
	l.Posts = singleAlbums + l.Operations
	return nil
}

// call sends a request without trace context.
func (g Generator) call(ctx context.Context, l *Load) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.Proxy+"/albums?"+url.Values{"artist": {l.Canary}, "limit": {"1"}}.Encode(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", l.Caller)
	resp, err := (&http.Client{Timeout: requestTimeout}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return err
}

// program runs loadgen or datagen to its end, and returns its stdout. The error has the end of
// its stderr.
func (g Generator) program(ctx context.Context, l *Load, duration time.Duration, path string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, duration+grace)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	for _, kv := range os.Environ() {
		// Settings for other runs must not affect this one.
		if !strings.HasPrefix(kv, "OTEL_") && !strings.HasPrefix(kv, "SOUNDCHECK_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT="+g.OTLP,
		"OTEL_METRIC_EXPORT_INTERVAL=5000", "OTEL_RESOURCE_ATTRIBUTES="+verifyKey+"="+l.Datagen)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(errs.String())
		return out.Bytes(), fmt.Errorf("%s: %w: %s", filepath.Base(path), err, text[max(0, len(text)-500):])
	}
	return out.Bytes(), nil
}

// readRecord adds the titles and artists in loadgen's recording of its requests.
func (l *Load) readRecord(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for lines := json.NewDecoder(f); ; {
		var e struct {
			Scenario string
			Body     []byte
		}
		switch err := lines.Decode(&e); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read loadgen's recording: %w", err)
		case e.Scenario != "bad": // its artist is called Artist
			l.Private = append(l.Private, privateOf(e.Body)...)
		}
	}
}

// privateOf returns the titles and artists of a body: of an album or several.
func privateOf(body []byte) []string {
	type album struct{ Title, Artist string }
	var list []album
	if json.Unmarshal(body, &list) != nil {
		list = make([]album, 1)
		if json.Unmarshal(body, &list[0]) != nil {
			return nil
		}
	}
	var texts []string
	for _, a := range list {
		texts = append(texts, a.Title, a.Artist)
	}
	return texts
}

// check returns whether every request got its expected status.
func (l *Load) check() Check {
	r := &l.Report
	text := fmt.Sprintf("%d requests of run %s in %.0f s, %d good; %d albums by datagen", r.Sent, r.RunID, r.Elapsed, r.Classes[measure.Good]+r.Classes[measure.Late], singleAlbums+asyncAlbums)
	var wrong problems
	shed, failed := map[int]int{}, maps.Clone(r.Errors)
	for _, row := range r.Scenarios {
		if n := row.Classes[measure.Shed] + row.Classes[measure.Failed]; n > 0 {
			wrong.add("%s: %d of %d requests (%s)", row.Name, n, row.Requests, byKey(row.Statuses))
		}
		for status, n := range row.Statuses {
			if shedStatus(status) {
				shed[status] += n
				delete(failed, fmt.Sprintf("status %d for %s", status, row.Name))
			}
		}
	}
	if n := r.Classes[measure.Shed]; n > 0 {
		wrong.add("%d requests were shed (%s)", n, byKey(shed))
	}
	if n := r.Classes[measure.Failed]; n > 0 {
		wrong.add("%s", strings.TrimSpace(fmt.Sprintf("%d requests failed (%s) %s", n, byKey(failed), r.FirstError)))
	}
	return verdict("load", wrong, "%s", text)
}

// byKey writes numbers as "429: 10, 503: 138", in the order of the keys.
func byKey[K cmp.Ordered](numbers map[K]int) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(numbers)) {
		list = append(list, fmt.Sprintf("%v: %d", k, numbers[k]))
	}
	return strings.Join(list, ", ")
}
