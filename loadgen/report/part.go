package report

import (
	"encoding/json"
	"fmt"
	"strconv"

	"soundcheck/loadgen/explain"
	"soundcheck/loadgen/measure"
)

// part is the JSON of a report that is merged by another process: with histograms as in
// files, with the candidates for tail-latency attribution, and without deprecated keys.
type part struct {
	plainReport
	Intervals  []plainInterval `json:"intervals"`
	Retries    plainRetries    `json:"retries"`
	Histograms plainHistograms `json:"histograms"`
	Candidates []explain.Group `json:"candidates,omitempty"`
}

// EncodePart encodes a report for a Merger in another process.
func EncodePart(r *Report) ([]byte, error) {
	if err := r.encodeHistograms(); err != nil {
		return nil, err
	}
	p := part{plainReport: plainReport(*r), Retries: plainRetries(r.Retries), Histograms: plainHistograms(r.Histograms), Candidates: r.Candidates}
	for _, i := range r.Intervals {
		p.Intervals = append(p.Intervals, plainInterval(i))
	}
	return json.Marshal(p)
}

// DecodePart decodes a report of EncodePart, with its histograms: that takes most of the time
// of a merge, and can be concurrent. The report has Candidates instead of Groups.
func DecodePart(b []byte) (*Report, error) {
	var p part
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("decode the report of a worker: %w", err)
	}
	if p.Version != Version {
		return nil, fmt.Errorf("report of a worker has version %d, want %d", p.Version, Version)
	}
	if n := len(p.Scenarios); n > maxScenarios {
		return nil, fmt.Errorf("report of a worker has %d scenarios, at most %d", n, maxScenarios)
	}
	for code := range p.Statuses {
		if code < 100 || code > 999 {
			return nil, fmt.Errorf("report of a worker has the HTTP status %d", code)
		}
	}
	r := Report(p.plainReport)
	r.Retries, r.Histograms, r.Candidates = Retries(p.Retries), Histograms(p.Histograms), p.Candidates
	for _, i := range p.Intervals {
		r.Intervals = append(r.Intervals, Interval(i))
	}
	var err error
	if r.packed, err = r.decode(); err != nil {
		return nil, fmt.Errorf("report of a worker: %w", err)
	}
	return &r, nil
}

// maxScenarios limits the memory of a merger.
const maxScenarios = 100

// encodeHistograms sets Histograms from the measured times. A report of a file has them.
func (r *Report) encodeHistograms() error {
	if r.times == nil && r.Histograms != nil {
		return nil
	}
	r.Histograms = Histograms{}
	for name, t := range r.times {
		if t.Count() == 0 {
			continue
		}
		h, err := t.Encode()
		if err != nil {
			return fmt.Errorf("encode the histogram %s: %w", name, err)
		}
		r.Histograms[name] = h
	}
	return nil
}

// packed are the decoded histograms of a report.
type packed struct {
	times     map[string]*measure.Packed // by name, as in Histograms
	intervals *measure.Intervals
}

// times of a report, and of each scenario, by name as in Histograms.
var (
	namesOfAll   = append([]string{"flow", "service", "send_delay", "first_byte", "body", "dns", "connect", "tls"}, namesOfCells...)
	namesOfCells = []string{"response", "shed", "failed"}
)

// statusName is the name of the response times of an HTTP status in Histograms.
func statusName(code int) string { return "status/" + strconv.Itoa(code) }

// decode decodes the histograms of a report.
func (r *Report) decode() (*packed, error) {
	names := namesOfAll
	for _, row := range r.Scenarios {
		for _, name := range namesOfCells {
			names = append(names[:len(names):len(names)], name+"/"+row.Name)
		}
	}
	for code := range r.Statuses {
		names = append(names[:len(names):len(names)], statusName(code))
	}
	d := &packed{times: map[string]*measure.Packed{}}
	for _, name := range names {
		h, ok := r.Histograms[name]
		if !ok {
			continue
		}
		t, err := h.DecodePacked()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		d.times[name] = t
	}
	served := int64(0)
	if t := d.times["response"]; t != nil {
		served = t.Count()
	}
	if served != r.Response.Count {
		return nil, fmt.Errorf("no histograms in the file: %d of %d response times", served, r.Response.Count)
	}
	var err error
	d.intervals, err = measured(r.Intervals)
	return d, err
}

// addTo adds the measurements of the report to m.
func (d *packed) addTo(m *measure.Results, r *Report) {
	merge := func(name string, to *measure.Times) {
		if t := d.times[name]; t != nil {
			to.MergePacked(t)
		}
	}
	cell := func(to *measure.Cell, suffix string, classes map[measure.Class]int) {
		for class, n := range classes {
			to.Classes[class] += n
		}
		merge("response"+suffix, to.Served)
		merge("shed"+suffix, to.Shed)
		merge("failed"+suffix, to.Failed)
	}
	merge("flow", m.Flow.Served)
	merge("service", m.Service)
	merge("send_delay", m.SendDelay)
	merge("first_byte", m.FirstByte)
	merge("body", m.Body)
	merge("dns", m.Opened.DNS)
	merge("connect", m.Opened.Connect)
	merge("tls", m.Opened.TLS)
	for code := range r.Statuses {
		merge(statusName(code), m.Status(code))
	}
	for name, n := range r.Protocols {
		m.Protocols[name] += n
	}
	m.Opened.Count += r.Opened
	m.Received += r.BytesReceived
	m.Sent += r.BytesSent
	cell(m.All, "", r.Classes)
	for _, row := range r.Scenarios {
		if m.Scenarios[row.Name] == nil {
			m.Scenarios[row.Name] = measure.NewCell()
		}
		c := m.Scenarios[row.Name]
		cell(c, "/"+row.Name, row.Classes)
		for status, n := range row.Statuses {
			c.Statuses[status] += n
			m.All.Statuses[status] += n
		}
	}
	m.Intervals.Merge(d.intervals)
}
