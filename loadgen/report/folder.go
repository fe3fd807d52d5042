package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/loadgen/measure"
)

// Names of a run's files.
const (
	reportFile  = "report.json"
	textFile    = "report.txt"
	pageFile    = "report.html"
	resultsFile = "results.csv.zst"
	oldResults  = "results.bin" // of earlier releases
	partSuffix  = ".part"       // of an incomplete file
)

// Folder is the directory of a run. Each file appears when it is complete, report.json last:
//
//	report.json              the Report
//	report.txt, report.html  the Report as text, and as a self-contained page with charts
//	response.hgrm, .hlog     response times of served requests: HdrHistogram percentiles in ms, and an HdrHistogram
//	                         log in ns with a line for each interval
//	service.hgrm, .hlog      service times of all requests; the log has one line
//	send_delay.hgrm, .hlog   send delays of all requests; the log has one line
//	results.csv.zst          each request in vegeta's CSV, for "zstdcat results.csv.zst | vegeta report"; its
//	                         latencies are response times, also those of the warm-up
//	progress.jsonl           a Progress a line, until the report is there
type Folder struct {
	path     string
	results  *results // nil: without
	progress *os.File // nil: without
	err      error    // the first error of writing results
}

// NewFolder creates the directory of a run, with or without raw results. It must not contain
// another run.
func NewFolder(path string, results bool) (*Folder, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, err
	}
	for _, name := range []string{reportFile, resultsFile, oldResults, oldResults + partSuffix} {
		if _, err := os.Stat(filepath.Join(path, name)); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s already contains a run", path)
		}
	}
	if !results {
		return &Folder{path: path}, nil
	}
	w, err := newResults(filepath.Join(path, resultsFile+partSuffix))
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s contains an unfinished run", path)
	}
	if err != nil {
		return nil, err
	}
	return &Folder{path: path, results: w}, nil
}

// Watch makes the folder store the progress of the run for others.
func (f *Folder) Watch(name, target string) error {
	return f.beginProgress(Progress{At: time.Now(), Phase: Begins, PID: os.Getpid(), Name: name, Target: target})
}

// Write writes a file beside the report.
func (f *Folder) Write(name string, b []byte) error {
	return writeFile(filepath.Join(f.path, name), func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// Discard removes the directory, if it contains nothing else.
func (f *Folder) Discard() error {
	if err := f.endProgress(); err != nil {
		return err
	}
	if f.results != nil {
		_ = f.results.close()
		if err := os.Remove(f.results.file.Name()); err != nil {
			return err
		}
	}
	if err := os.Remove(f.path); err != nil && !errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	return nil
}

// Add writes one result.
func (f *Folder) Add(res *vegeta.Result) {
	if f.err == nil {
		f.err = f.results.add(res)
	}
}

// Finish writes the report and the histograms, and completes the raw results.
func (f *Folder) Finish(r *Report) error {
	if f.results != nil {
		f.err = errors.Join(f.err, f.results.close())
		if f.err == nil {
			f.err = os.Rename(f.results.file.Name(), filepath.Join(f.path, resultsFile))
		}
	}
	write := func(name string, to func(io.Writer) error) {
		f.err = errors.Join(f.err, writeFile(filepath.Join(f.path, name), to))
	}
	for _, name := range []string{"response", "service", "send_delay"} {
		t := r.Times(name)
		write(name+".hgrm", func(w io.Writer) error {
			_, err := t.HDR().PercentilesPrint(w, 5, float64(time.Millisecond))
			return err
		})
		write(name+".hlog", func(w io.Writer) error {
			if name == "response" {
				return r.logIntervals(w)
			}
			return r.log(w, t)
		})
	}
	write(textFile, r.Write)
	write(pageFile, r.WriteHTML)
	f.err = errors.Join(f.err, r.encodeHistograms())
	if f.err == nil { // last: a directory with it is complete
		write(reportFile, r.writeAll)
	}
	f.err = errors.Join(f.err, f.endProgress())
	if f.err != nil {
		return fmt.Errorf("write the run: %w", f.err)
	}
	return nil
}

// writeFile writes a file atomically: the console reads the runs while they are written.
func writeFile(path string, to func(io.Writer) error) error {
	file, err := os.Create(path + partSuffix)
	if err != nil {
		return err
	}
	if err = errors.Join(to(file), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

// log writes a histogram as an HdrHistogram log with one interval.
func (r *Report) log(w io.Writer, t *measure.Times) error {
	start := r.StartedAt.UnixMilli()
	l, err := newLog(w, start)
	t.HDR().SetStartTimeMs(start)
	t.HDR().SetEndTimeMs(start + measure.Seconds(r.Elapsed).Milliseconds())
	return errors.Join(err, l.OutputIntervalHistogram(t.HDR()))
}

// logIntervals writes the response times as an HdrHistogram log, a line for each interval. The report has them encoded:
// to encode one takes a megabyte, and a run can have thousands.
func (r *Report) logIntervals(w io.Writer) error {
	start := r.StartedAt.Add(measure.Seconds(r.WarmUpTime)).UnixMilli()
	_, err := newLog(w, start)
	since := float64(start%1000) / 1000 // the base time
	for _, v := range r.Intervals {
		payload := v.HDR
		if payload == "" {
			b, e := measure.NewInterval().Served.EncodeV2()
			payload, err = string(b), errors.Join(err, e)
		}
		_, e := fmt.Fprintf(w, "%f,%f,%f,%s\n", since+v.At, v.Seconds, 1000*v.Response.Max, payload)
		err = errors.Join(err, e)
	}
	return err
}

// newLog begins a log. Its times are relative to the base time, in whole seconds.
func newLog(w io.Writer, start int64) (*hdrhistogram.HistogramLogWriter, error) {
	l := hdrhistogram.NewHistogramLogWriter(w)
	l.SetBaseTime(start / 1000 * 1000)
	return l, errors.Join(l.OutputComment("[loadgen: values in ns, the column of maxima in ms]"), l.OutputLogFormatVersion(),
		l.OutputBaseTime(start), l.OutputStartTime(start), l.OutputLegend())
}

// Read reads the Report of a directory.
func Read(path string) (*Report, error) {
	b, err := os.ReadFile(filepath.Join(path, reportFile))
	if err != nil {
		return nil, err
	}
	r := new(Report)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(path, reportFile), err)
	}
	if r.Version != Version {
		return nil, fmt.Errorf("%s has version %d, want %d", filepath.Join(path, reportFile), r.Version, Version)
	}
	return r, nil
}
