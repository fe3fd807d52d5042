package doctor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// sample is what is measured twice, to see what changes.
type sample struct {
	at     time.Time
	group  group
	ticks  map[int]int64 // CPU time by process, in hundredths of a second
	pages  map[string]metrics
	failed map[string]error
}

func (d *doctor) sample(ctx context.Context) sample {
	s := sample{group: d.group(), ticks: map[int]int64{}, pages: map[string]metrics{}, failed: map[string]error{}}
	for _, p := range d.all() {
		if used, _, ok := p.ticks(); ok {
			s.ticks[p.pid] = used
		}
	}
	s.at = time.Now()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for name, url := range d.services() {
		if err := d.first.failed[name]; err != nil { // once is enough to wait for one that hangs
			s.failed[name] = err
			continue
		}
		wg.Go(func() {
			page, err := d.scrape(ctx, url+"/metrics")
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				s.failed[name] = err
			} else {
				s.pages[name] = page
			}
		})
	}
	wg.Wait()
	return s
}

// point is the value of a series.
type point struct {
	labels map[string]string
	value  float64
}

// metrics are the points of a /metrics page, by name.
type metrics map[string][]point

// sum adds the points whose labels fit.
func (m metrics) sum(name string, fits func(map[string]string) bool) (total float64) {
	for _, p := range m[name] {
		if fits(p.labels) {
			total += p.value
		}
	}
	return total
}

// scrape reads a page in Prometheus' text format.
func (d *doctor) scrape(ctx context.Context, url string) (metrics, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s responded %s", url, resp.Status)
	}
	return parseMetrics(resp.Body)
}

// parseMetrics reads the text format without exemplars and time stamps: the services send none unless they are asked for.
func parseMetrics(r io.Reader) (metrics, error) {
	m := metrics{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		end := strings.IndexAny(line, "{ ")
		if end < 0 {
			return nil, fmt.Errorf("%q is no sample", line)
		}
		name, rest := line[:end], line[end:]
		p := point{labels: map[string]string{}}
		if rest[0] == '{' {
			rest = rest[1:]
			for !strings.HasPrefix(rest, "}") {
				label, after, ok := strings.Cut(rest, `="`)
				if !ok {
					return nil, fmt.Errorf("%q has labels without an end", line)
				}
				quoted, err := strconv.QuotedPrefix(`"` + after)
				if err != nil {
					return nil, fmt.Errorf("%q: %w", line, err)
				}
				if p.labels[label], err = strconv.Unquote(quoted); err != nil {
					return nil, fmt.Errorf("%q: %w", line, err)
				}
				rest = strings.TrimPrefix(after[len(quoted)-1:], ",")
			}
			rest = rest[1:]
		}
		var err error
		if p.value, err = strconv.ParseFloat(firstWord(rest), 64); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		m[name] = append(m[name], p)
	}
	return m, lines.Err()
}
