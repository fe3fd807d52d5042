package logs

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"soundcheck/console/otlp"
)

// Where the components run in containers, there are no files of theirs: only the records that the
// Collector received, as its file exporter writes them. Each line is a request in OTLP's JSON form,
// with many records of many services.
const (
	otlpName    = "otlp.jsonl"
	otlpRotated = "otlp-*.jsonl" // with the time between
	otlpMaxLine = 16 << 20       // the Collector's largest request

	// otlpDisorder is the max time by which a request is late: it was retried meanwhile.
	otlpDisorder = 5 * time.Minute
)

// otlpFiles returns the paths of the Collector's files, the newest first.
func otlpFiles(folder string) ([]string, error) {
	rotated, err := filepath.Glob(filepath.Join(folder, otlpRotated))
	if err != nil {
		return nil, err
	}
	slices.Sort(rotated)
	slices.Reverse(rotated)
	return append([]string{filepath.Join(folder, otlpName)}, rotated...), nil
}

// The parts of a request in OTLP's JSON form that are shown.
type (
	otlpRequest struct {
		ResourceLogs []struct {
			Resource struct {
				Attributes []otlp.Attribute `json:"attributes"`
			} `json:"resource"`
			ScopeLogs []struct {
				LogRecords []otlpRecord `json:"logRecords"`
			} `json:"scopeLogs"`
		} `json:"resourceLogs"`
	}
	otlpRecord struct {
		Time         string           `json:"timeUnixNano"`
		Observed     string           `json:"observedTimeUnixNano"`
		Severity     int              `json:"severityNumber"`
		SeverityText string           `json:"severityText"`
		Body         otlp.Value       `json:"body"`
		Attributes   []otlp.Attribute `json:"attributes"`
		TraceID      string           `json:"traceId"`
		SpanID       string           `json:"spanId"`
	}
)

// otlpLines returns the records of a request, in their order.
func otlpLines(raw []byte) ([]Line, error) {
	var req otlpRequest
	if err := json.Unmarshal(raw, &req); err != nil {
		return nil, fmt.Errorf("no request of OTLP: %w", err)
	}
	var lines []Line
	for _, r := range req.ResourceLogs {
		service, pod := "unknown_service", otlp.Value{}
		for _, a := range r.Resource.Attributes {
			switch {
			case a.Key == "service.name" && a.Value.String != nil:
				service = *a.Value.String
			case a.Key == "k8s.pod.name":
				pod = a.Value
			}
		}
		for _, s := range r.ScopeLogs {
			for _, rec := range s.LogRecords {
				lines = append(lines, rec.line(service, pod))
			}
		}
	}
	return lines, nil
}

// line returns a record as a line of a log.
func (r otlpRecord) line(service string, pod otlp.Value) Line {
	l := Line{Service: service, Level: severity(r.Severity, r.SeverityText), TraceID: id(r.TraceID), SpanID: id(r.SpanID)}
	for _, text := range []string{r.Time, r.Observed} {
		if ns, err := strconv.ParseInt(text, 10, 64); err == nil && ns > 0 {
			l.Time = time.Unix(0, ns).UTC()
			break
		}
	}
	if r.Body.String != nil {
		l.Message = clip(*r.Body.String)
	} else if b, err := json.Marshal(r.Body.Plain()); err == nil && string(b) != "null" {
		l.Message = clip(string(b))
	}
	if pod.String != nil { // which of several
		r.Attributes = append(r.Attributes, otlp.Attribute{Key: "k8s.pod.name", Value: pod})
	}
	for _, a := range r.Attributes {
		b, err := json.Marshal(a.Value.Plain())
		if err != nil || len(l.Fields) == maxFields {
			continue
		}
		if len(b) > maxText {
			b, _ = json.Marshal(clip(string(b)))
		}
		l.Fields = append(l.Fields, Attribute{a.Key, b})
	}
	return l
}

// severity returns the level of a severity number, whose ranges OTLP defines.
func severity(number int, text string) string {
	switch {
	case number >= 17:
		return "error"
	case number >= 13:
		return "warn"
	case number >= 9:
		return "info"
	case number >= 1:
		return "debug"
	case text != "":
		return level(text)
	}
	return "info"
}

// id returns a trace or span ID, in hexadecimal form, unless it is empty.
func id(text string) string {
	b, err := hex.DecodeString(text)
	if err != nil || len(bytes.Trim(b, "\x00")) == 0 {
		return ""
	}
	return strings.ToLower(text)
}

// leadingOTLP parses only the time of a request's first record.
func leadingOTLP(raw []byte) (time.Time, bool) {
	_, rest, ok := bytes.Cut(raw, []byte(`imeUnixNano":"`)) // time, or observedTime
	if !ok {
		return time.Time{}, false
	}
	digits, _, ok := bytes.Cut(rest[:min(len(rest), 24)], []byte{'"'})
	ns, err := strconv.ParseInt(string(digits), 10, 64)
	return time.Unix(0, ns).UTC(), ok && err == nil && ns > 0
}

// batch scans a request, and reports whether to continue.
func (s *scan) batch(p *part, raw []byte, at int64) bool {
	t, ok := leadingOTLP(raw)
	if !ok {
		t = s.previous
	}
	s.previous, s.reached = t, t
	switch {
	case ok && !s.Since.IsZero() && t.Before(s.Since.Add(-otlpDisorder)):
		return false
	case ok && !s.Until.IsZero() && t.After(s.Until.Add(disorder)), len(bytes.TrimSpace(raw)) == 0, !s.has(raw):
		return true
	}
	lines, err := otlpLines(raw)
	if err != nil {
		lines = []Line{{Service: otlpName, Time: t, Text: true, Message: strings.ToValidUTF8(string(raw[:min(len(raw), maxText)]), "�")}}
	}
	for _, l := range slices.Backward(lines) {
		if s.matches(l) {
			s.hits = append(s.hits, hit{l, p.at(at), t})
		}
	}
	s.more = len(s.hits) >= s.Limit
	return !s.more
}

// matches applies the filters to one record of a request.
func (s *scan) matches(l Line) bool {
	switch {
	case len(s.Services) > 0 && !slices.Contains(s.Services, l.Service),
		s.Level != "" && !l.atLeast(s.Level),
		!s.Since.IsZero() && l.Time.Before(s.Since),
		!s.Until.IsZero() && l.Time.After(s.Until):
		return false
	}
	if len(s.needles) == 0 {
		return true
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	return enc.Encode(l) == nil && s.has(b.Bytes())
}

// openOTLP opens the Collector's files; nil if there are none.
func openOTLP(folder string) (*log, error) {
	paths, err := otlpFiles(folder)
	if err != nil {
		return nil, err
	}
	l, err := open(otlpName, otlpMaxLine, paths...)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(l.parts, func(p *part) bool { return p.file != nil }) {
		return nil, nil
	}
	return l, nil
}
