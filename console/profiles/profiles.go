// Package profiles finds the CPU profiles that loadgen has stored with its runs, and shows them with the web pages
// of github.com/google/pprof.
package profiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"soundcheck/internal/profiling"
)

// File is a CPU profile of a run.
type File struct {
	Run     string    `json:"run"`
	Name    string    `json:"name"`
	Service string    `json:"service"`
	Start   time.Time `json:"start"`
	Seconds int       `json:"seconds"`
}

// fileName matches the names that loadgen gives: cpu-SERVICE-TIME-SECONDSs.pb.gz.
var fileName = regexp.MustCompile(`^cpu-([A-Za-z0-9][A-Za-z0-9_.-]*)-(\d{8}T\d{6}\.\d{3}Z)-(\d{1,6})s\.pb\.gz$`)

// parse returns the file with a name, if it is that of a profile.
func parse(run, name string) (f File, ok bool) {
	m := fileName.FindStringSubmatch(name)
	if m == nil {
		return f, false
	}
	start, err := time.Parse("20060102T150405.000Z", m[2])
	if err != nil {
		return f, false
	}
	n, err := strconv.Atoi(m[3])
	return File{Run: run, Name: name, Service: m[1], Start: start, Seconds: n}, err == nil
}

// End is when the profile ended.
func (f File) End() time.Time { return f.Start.Add(time.Duration(f.Seconds) * time.Second) }

// List returns the profiles of a run in a folder of runs, by service and time.
func List(folder, run string) ([]File, error) {
	entries, err := os.ReadDir(filepath.Join(folder, run))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	list := []File{}
	for _, e := range entries {
		if f, ok := parse(run, e.Name()); ok && e.Type().IsRegular() {
			list = append(list, f)
		}
	}
	return list, nil // names sort by service and time
}

// At returns the profiles of a service, of all runs, that overlap a time.
func At(folder, service string, from, to time.Time) ([]File, error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	list := []File{}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		all, err := List(folder, e.Name())
		if err != nil {
			return nil, err
		}
		list = append(list, slices.DeleteFunc(all, func(f File) bool { return f.Service != service || f.Start.After(to) || f.End().Before(from) })...)
	}
	return list, nil
}

// maxProfile is the max size of a profile file, in bytes.
const maxProfile = 64 << 20

// read reads a profile.
func read(folder string, f File) (*profile.Profile, error) {
	file, err := os.OpenInRoot(filepath.Join(folder, f.Run), f.Name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if st, err := file.Stat(); err != nil || !st.Mode().IsRegular() || st.Size() > maxProfile {
		return nil, fmt.Errorf("%s is no file of up to %d bytes", f.Name, maxProfile)
	}
	p, err := profile.Parse(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	return p, nil
}

// Samples are counts of a profile's samples: of all, of a trace and of a route.
type Samples struct {
	All   int64 `json:"all"`
	Trace int64 `json:"trace"`
	Route int64 `json:"route"`
}

// Count counts the samples of a profile.
func Count(folder string, f File, trace, route string) (n Samples, err error) {
	p, err := read(folder, f)
	if err != nil {
		return n, err
	}
	has := func(s *profile.Sample, label, value string) bool {
		return value != "" && slices.ContainsFunc(s.Label[label], func(v string) bool { return strings.EqualFold(v, value) })
	}
	for _, s := range p.Sample {
		if len(s.Value) == 0 {
			continue
		}
		n.All += s.Value[0]
		if has(s, profiling.TraceID, trace) {
			n.Trace += s.Value[0]
		}
		if has(s, profiling.Route, route) {
			n.Route += s.Value[0]
		}
	}
	return n, nil
}
