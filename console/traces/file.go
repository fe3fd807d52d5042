package traces

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"soundcheck/internal/jaegerapi"
)

// MaxFile is the max size of a file of traces.
const MaxFile = 32 << 20

// Formats are the files that ReadFile reads.
const Formats = `Jaeger JSON ({"data": …}), OTLP JSON ({"resourceSpans": …}), or a line of OTLP JSON for each request, as the Collector's file exporter writes`

// File are the traces of a file.
type File struct {
	Traces []FileTrace `json:"traces"` // in the order in which they appear
	// Skipped are lines with other signals.
	Skipped int `json:"skipped,omitempty"`
}

// FileTrace is a trace of a file.
type FileTrace struct {
	Summary Summary `json:"summary"`
	Page
}

// document is a value of a file at the top level.
type document struct {
	raw  []byte
	at   int  // in the file
	line bool // one of several lines
}

// fileReader reads a file.
type fileReader struct {
	file   []byte
	traces []*jaegerapi.Trace
	byID   map[string]*jaegerapi.Trace // of OTLP
	// processes are those of OTLP's traces, by trace and resource.
	processes map[string]string
	skipped   int
}

// ReadFile reads traces from a file: see Formats. The error names the line, or the field.
func ReadFile(b []byte) (File, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) // as some editors on Windows write it
	r := &fileReader{file: b, byID: map[string]*jaegerapi.Trace{}, processes: map[string]string{}}
	documents, err := r.split()
	if err != nil {
		return File{}, err
	}
	for _, d := range documents {
		if err := r.read(d); err != nil {
			return File{}, err
		}
	}
	f := File{Traces: []FileTrace{}, Skipped: r.skipped}
	for _, t := range r.traces {
		if s, ok := newTrace(t).summary(); ok {
			f.Traces = append(f.Traces, FileTrace{s, Page{t, critical(t)}})
		}
	}
	if len(f.Traces) == 0 {
		return f, errors.New("the file has no spans")
	}
	return f, nil
}

// split finds the documents of the file: one, or one on each line.
func (r *fileReader) split() ([]document, error) {
	if len(bytes.TrimSpace(r.file)) == 0 {
		return nil, errors.New("the file is empty")
	}
	var whole json.RawMessage
	err := json.Unmarshal(r.file, &whole)
	if err == nil {
		return []document{{raw: r.file}}, nil
	}
	if !strings.Contains(err.Error(), "after top-level value") {
		return nil, r.syntax(err, 0)
	}
	var list []document
	at := 0
	for line := range bytes.Lines(r.file) {
		if len(bytes.TrimSpace(line)) > 0 {
			if err := json.Unmarshal(line, &whole); err != nil {
				return nil, r.syntax(err, at)
			}
			list = append(list, document{line, at, true})
		}
		at += len(line)
	}
	return list, nil
}

// position returns the line and column of an offset in the file.
func (r *fileReader) position(at int) string {
	before := r.file[:min(max(at, 0), len(r.file))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return fmt.Sprintf("line %d, column %d", bytes.Count(before, []byte("\n"))+1, len([]rune(string(before[start:])))+1)
}

// syntax adds the position to an error of JSON. Its document starts at base.
func (r *fileReader) syntax(err error, base int) error {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		what := "this is not JSON"
		if base > 0 || len(r.file) > 0 && bytes.IndexByte([]byte("{["), bytes.TrimSpace(r.file)[0]) >= 0 {
			what = "the JSON is not valid"
		}
		at := base + int(e.Offset)
		if !strings.Contains(err.Error(), "unexpected end") {
			at-- // the character that is wrong has been read
		}
		return fmt.Errorf("%s: %s: %w", r.position(at), what, err)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s: %s is %s, want %s", r.position(base+int(e.Offset)), e.Field, article(e.Value), wanted(e.Type.Kind().String()))
	}
	return fmt.Errorf("%s: %w", r.position(base), err)
}

func article(value string) string {
	if strings.HasPrefix(value, "object") || strings.HasPrefix(value, "array") {
		return "an " + value
	}
	return "a " + value
}

// wanted names a kind of Go's types as JSON does.
func wanted(kind string) string {
	switch kind {
	case "struct", "map", "ptr":
		return "an object"
	case "slice":
		return "an array"
	case "bool":
		return "true or false"
	case "int64":
		return "a whole number"
	case "string":
		return "a string"
	}
	return "a number"
}

// fields are those by which the format of a document is recognized.
type fields struct {
	Data            json.RawMessage `json:"data"`
	Result          json.RawMessage `json:"result"` // of Jaeger's API v3
	TraceID         json.RawMessage `json:"traceID"`
	Spans           json.RawMessage `json:"spans"`
	ResourceSpans   json.RawMessage `json:"resourceSpans"`
	ResourceLogs    json.RawMessage `json:"resourceLogs"`
	ResourceMetrics json.RawMessage `json:"resourceMetrics"`
}

// read reads one document.
func (r *fileReader) read(d document) error {
	var have fields
	if err := json.Unmarshal(d.raw, &have); err != nil {
		return r.wrong(d, "want an object: "+Formats)
	}
	switch {
	case have.ResourceSpans != nil:
		var request otlpRequest
		if err := json.Unmarshal(d.raw, &request); err != nil {
			return r.syntax(err, d.at)
		}
		return r.otlp(d, "resourceSpans", request)
	case have.Result != nil:
		var body struct {
			Result otlpRequest `json:"result"`
		}
		if err := json.Unmarshal(d.raw, &body); err != nil {
			return r.syntax(err, d.at)
		}
		return r.otlp(d, "result.resourceSpans", body.Result)
	case have.Data != nil:
		var body struct {
			Data []*jaegerapi.Trace `json:"data"`
		}
		if err := json.Unmarshal(d.raw, &body); err != nil {
			return r.syntax(err, d.at)
		}
		for i, t := range body.Data {
			if err := r.jaeger(d, fmt.Sprintf("data[%d].", i), t); err != nil {
				return err
			}
		}
		return nil
	case have.TraceID != nil && have.Spans != nil:
		var t jaegerapi.Trace
		if err := json.Unmarshal(d.raw, &t); err != nil {
			return r.syntax(err, d.at)
		}
		return r.jaeger(d, "", &t)
	case have.ResourceLogs != nil, have.ResourceMetrics != nil:
		r.skipped++
		return nil
	}
	return r.wrong(d, "no traces in this format. Want "+Formats)
}

// wrong is an error of a document. Of a file with many, it names the line.
func (r *fileReader) wrong(d document, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if d.line {
		text = fmt.Sprintf("line %d: %s", bytes.Count(r.file[:d.at], []byte("\n"))+1, text)
	}
	return errors.New(text)
}

// jaeger checks and adds a trace in Jaeger's JSON.
func (r *fileReader) jaeger(d document, path string, t *jaegerapi.Trace) error {
	switch {
	case t == nil:
		return r.wrong(d, "%s is null", strings.TrimSuffix(path, "."))
	case !hexadecimal(t.TraceID, 32):
		return r.wrong(d, "%straceID: %q is not a trace id: up to 32 hexadecimal digits", path, t.TraceID)
	}
	for i, s := range t.Spans {
		field := fmt.Sprintf("%sspans[%d]", path, i)
		if s == nil {
			return r.wrong(d, "%s is null", field)
		}
		_, known := t.Processes[s.ProcessID]
		switch {
		case s.SpanID == "":
			return r.wrong(d, "%s.spanID is missing", field)
		case s.StartTime <= 0 || s.StartTime > maxMicros:
			return r.wrong(d, "%s.startTime: %d is not a time in µs since 1970", field, s.StartTime)
		case s.Duration < 0 || s.Duration > maxMicros:
			return r.wrong(d, "%s.duration: %d is not a duration in µs", field, s.Duration)
		case !known:
			return r.wrong(d, "%s.processID: %q is not in processes", field, s.ProcessID)
		}
		for i := range s.References {
			if ref := &s.References[i]; jaegerapi.SameID(ref.TraceID, t.TraceID) {
				ref.TraceID = t.TraceID // the page compares them as they are
			}
		}
	}
	r.traces = append(r.traces, t)
	return nil
}

// maxMicros is the year 2255 in µs since 1970: JavaScript's numbers are exact up to there.
const maxMicros = 1<<53 - 1

// hexadecimal reports whether a text is an id of 1 to most digits that are not all 0.
func hexadecimal(id string, most int) bool {
	return len(id) <= most && strings.Trim(id, "0") != "" && strings.Trim(strings.ToLower(id), "0123456789abcdef") == ""
}
