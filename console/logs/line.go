package logs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Line is one line of a log. A line that is no JSON object has only a Message, and
// maybe a time.
type Line struct {
	Service string      `json:"service"` // name of the file
	Time    time.Time   `json:"time,omitzero"`
	Level   string      `json:"level,omitempty"` // debug, info, warn or error; "" for text
	Message string      `json:"message"`
	TraceID string      `json:"trace_id,omitempty"`
	SpanID  string      `json:"span_id,omitempty"`
	Fields  []Attribute `json:"fields,omitempty"` // in their order
	Text    bool        `json:"text,omitempty"`   // no JSON object
}

// Attribute is another field of a line.
type Attribute struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

// levels of a line, the lowest first.
var levels = []string{"debug", "info", "warn", "error"}

// maxText is how many bytes of a text or an attribute are shown.
const maxText = 16 << 10

// maxFields is how many attributes of a line are shown.
const maxFields = 100

// parse parses a line. Our components write slog's JSON, the Collector and Jaeger zap's,
// and a Go program that panics writes text.
func parse(service string, raw []byte) Line {
	l := Line{Service: service}
	fields, err := object(raw)
	if err != nil {
		l.Text, l.Message = true, strings.ToValidUTF8(string(raw[:min(len(raw), maxText)]), "�")
		l.Time, _ = leading(raw)
		if strings.HasPrefix(l.Message, "panic:") || strings.HasPrefix(l.Message, "fatal error:") {
			l.Level = "error"
		}
		return l
	}
	for _, f := range fields {
		text := ""
		_ = json.Unmarshal(f.Value, &text) // not everything is a text
		switch {
		case (f.Name == "time" || f.Name == "ts") && l.Time.IsZero():
			l.Time = moment(f.Value)
		case f.Name == "level" && l.Level == "":
			l.Level = level(text)
		case f.Name == "msg" && l.Message == "":
			l.Message = clip(text)
		case f.Name == "trace_id" && text != "":
			l.TraceID = text
		case f.Name == "span_id" && text != "":
			l.SpanID = text
		case f.Name == "service.name" && text == service:
		case len(l.Fields) < maxFields:
			if len(f.Value) > maxText {
				f.Value, _ = json.Marshal(clip(string(f.Value)))
			}
			l.Fields = append(l.Fields, f)
		}
	}
	return l
}

// clip truncates a text to maxText.
func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "�") + "…"
}

// object reads a JSON object's fields in their order.
func object(raw []byte) ([]Attribute, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("no object: %v", err)
	}
	var list []Attribute
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		a := Attribute{Name: fmt.Sprint(name)}
		if err := d.Decode(&a.Value); err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	_, err := d.Token()
	return list, err
}

// moment reads a time: RFC 3339, or seconds since the epoch.
func moment(value json.RawMessage) time.Time {
	var text string
	if json.Unmarshal(value, &text) == nil {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"} {
			if t, err := time.Parse(layout, text); err == nil {
				return t.UTC()
			}
		}
		return time.Time{}
	}
	var s float64
	if json.Unmarshal(value, &s) == nil && s > 0 && s < 1e11 {
		return time.UnixMicro(int64(s * 1e6)).UTC()
	}
	return time.Time{}
}

// level reads a level as slog and zap write it: INFO, warn, ERROR+2, dpanic …
func level(text string) string {
	name := strings.ToLower(text)
	if i := strings.IndexAny(name, "+-"); i > 0 {
		name = name[:i]
	}
	switch name {
	case "debug", "trace":
		return "debug"
	case "warn", "warning":
		return "warn"
	case "error", "dpanic", "panic", "fatal":
		return "error"
	}
	return "info"
}

// atLeast reports whether a line has a level or above. Text has no level: it
// counts as info.
func (l *Line) atLeast(least string) bool {
	return rank(cmp.Or(l.Level, "info")) >= rank(least)
}

func rank(level string) int { return max(0, slices.Index(levels, level)) }

// below reports whether a line starts with a level below least, as most do in a search
// for errors. It is much faster than parsing the line.
func below(raw []byte, least string) bool {
	_, rest, ok := bytes.Cut(raw[:min(len(raw), 256)], []byte(`"level":"`))
	if !ok {
		return false
	}
	name, _, ok := bytes.Cut(rest, []byte{'"'})
	return ok && rank(level(string(name))) < rank(least)
}

// leading parses only the time at the start of a line. That of
// slog and zap comes within the first fields, that of Go's log package is text.
func leading(raw []byte) (time.Time, bool) {
	head := raw[:min(len(raw), 256)]
	for _, name := range [][]byte{[]byte(`"time":"`), []byte(`"ts":"`)} {
		if _, rest, ok := bytes.Cut(head, name); ok {
			if text, _, ok := bytes.Cut(rest, []byte{'"'}); ok {
				t, err := time.Parse(time.RFC3339Nano, string(text))
				return t.UTC(), err == nil
			}
		}
	}
	const layout = "2006/01/02 15:04:05"
	if len(head) > len(layout) && head[4] == '/' {
		t, err := time.ParseInLocation(layout, string(head[:len(layout)]), time.Local)
		return t.UTC(), err == nil
	}
	return time.Time{}, false
}
