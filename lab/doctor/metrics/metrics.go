// Package metrics reads metrics: pages in Prometheus' text format, and results of Prometheus.
package metrics

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Point is the value of a series.
type Point struct {
	Labels map[string]string
	Value  float64
}

// Page are the points of a /metrics page, by name.
type Page map[string][]Point

// Sum adds the points whose labels fit.
func (m Page) Sum(name string, fits func(map[string]string) bool) (total float64) {
	for _, p := range m[name] {
		if fits(p.Labels) {
			total += p.Value
		}
	}
	return total
}

// Parse reads the text format without exemplars and timestamps, which a service sends only to a client that requests them.
func Parse(r io.Reader) (Page, error) {
	m := Page{}
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
		p := Point{Labels: map[string]string{}}
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
				if p.Labels[label], err = strconv.Unquote(quoted); err != nil {
					return nil, fmt.Errorf("%q: %w", line, err)
				}
				rest = strings.TrimPrefix(after[len(quoted)-1:], ",")
			}
			rest = rest[1:]
		}
		var err error
		if p.Value, err = strconv.ParseFloat(strings.TrimSpace(rest), 64); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		m[name] = append(m[name], p)
	}
	return m, lines.Err()
}
