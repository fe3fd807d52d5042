package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// scan searches one log.
type scan struct {
	Query
	service string
	otlp    bool       // lines are requests of OTLP
	needles [][][]byte // a line matches if it has one of each; lower case
	lower   []byte     // buffer for a line in lower case

	hits     []hit     // the newest first
	end      position  // of the log
	top      position  // where the scan started
	begin    position  // where the scan stopped
	more     bool      // there may be more lines before begin
	late     bool      // the timeout expired
	reached  time.Time // of the last line that was scanned
	previous time.Time // of the line after the current one
	written  time.Time // when the log was last written
}

// hit is a matching line. Order is never later than that of the line after it.
type hit struct {
	line  Line
	at    position
	order time.Time
}

func newScan(q Query, service string) *scan {
	s := &scan{Query: q, service: service}
	if q.Text != "" {
		// JSON escapes quotes, backslashes and the like.
		small := bytes.ToLower([]byte(q.Text))
		s.needles = append(s.needles, [][]byte{small, escaped(small)})
	}
	if q.Trace != "" {
		s.needles = append(s.needles, [][]byte{bytes.ToLower([]byte(q.Trace))})
	}
	return s
}

// read scans the log backwards, from its end or the position in before to its start or
// the position in after.
func (s *scan) read(ctx context.Context, l *log, after, before cursor) error {
	s.end = l.parts[0].at(l.parts[0].size)
	first, to := 0, l.parts[0].size
	if pos, ok := before[s.service]; ok {
		if first = l.find(pos); first < 0 {
			s.begin, s.top = pos, pos // rotated away meanwhile
			return nil
		}
		to = pos.Offset
	}
	last, from := len(l.parts)-1, int64(0)
	if pos, ok := after[s.service]; ok {
		if i := l.find(pos); i >= 0 {
			last, from = i, pos.Offset
		}
	}
	s.top = l.parts[first].at(to)
	s.begin = s.top
	s.written = l.parts[first].written
	for i := first; i <= last; i++ {
		p, begin := l.parts[i], int64(0)
		if i == last {
			begin = from
		}
		if i != first {
			to = p.size
		}
		if p.file == nil || to <= begin {
			continue
		}
		done := false
		err := p.backwards(ctx, begin, to, func(raw []byte, at int64) bool {
			s.begin = p.at(at)
			if s.otlp {
				done = !s.batch(p, raw, at)
			} else {
				done = !s.line(p, raw, at)
			}
			return !done
		})
		switch {
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			s.late, s.more = true, true
			return nil
		case err != nil || done:
			return err
		}
	}
	return nil
}

// line scans a line, and reports whether to continue.
func (s *scan) line(p *part, raw []byte, at int64) bool {
	t, ok := leading(raw)
	own := t
	switch { // text has the time of its neighbour
	case !s.previous.IsZero() && (!ok || t.After(s.previous)):
		t = s.previous
	case !ok:
		t = s.written
	}
	s.previous, s.reached = t, t
	if !s.Since.IsZero() && !t.IsZero() && t.Before(s.Since.Add(-disorder)) {
		return false
	}
	if ok && !s.Until.IsZero() && own.After(s.Until.Add(disorder)) {
		return true // without parsing the line
	}
	if len(bytes.TrimSpace(raw)) == 0 || s.Level != "" && below(raw, s.Level) || !s.has(raw) {
		return true
	}
	l := parse(s.service, raw)
	if l.Time.IsZero() {
		l.Time = t
	}
	switch {
	case s.Level != "" && !l.atLeast(s.Level),
		!s.Since.IsZero() && l.Time.Before(s.Since),
		!s.Until.IsZero() && l.Time.After(s.Until):
		return true
	}
	s.hits = append(s.hits, hit{l, p.at(at), t})
	s.more = len(s.hits) == s.Limit
	return !s.more
}

// has reports whether a raw line contains every needle. It is
// much faster than parsing it.
func (s *scan) has(raw []byte) bool {
	if len(s.needles) == 0 {
		return true
	}
	s.lower = append(s.lower[:0], raw...)
	for i, c := range s.lower {
		if 'A' <= c && c <= 'Z' {
			s.lower[i] = c + 'a' - 'A'
		} else if c >= 0x80 {
			s.lower = bytes.ToLower(raw)
			break
		}
	}
	return !slices.ContainsFunc(s.needles, func(either [][]byte) bool {
		return !slices.ContainsFunc(either, func(n []byte) bool { return bytes.Contains(s.lower, n) })
	})
}

func escaped(text []byte) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(string(text)) // a string never fails
	text = bytes.TrimSpace(b.Bytes())
	return text[1 : len(text)-1]
}
