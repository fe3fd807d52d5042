package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Containers are those of a lab. Docker Compose and Kubernetes implement it.
type Containers interface {
	// Logs returns what containers wrote since a time, in any number of parts that begin with a line.
	// Older lines do no harm.
	Logs(ctx context.Context, since time.Time, names ...string) ([][]byte, error)
	// Exec runs a command in a container, and returns its output.
	Exec(ctx context.Context, name string, args ...string) ([]byte, error)
}

// containers are the logs of the containers of a service.
type containers struct {
	Containers
	source
	names []string
	since time.Time
}

// ContainerLog is the output of a service's containers: JSON lines. Names are
// those of the containers.
func ContainerLog(c Containers, service string, names ...string) LogSource {
	// Their clock may differ from ours.
	return &containers{c, source{strings.Join(names, ", "), service}, names, time.Now().Add(-margin)}
}

// Lines implements LogSource.
func (c *containers) Lines(ctx context.Context) (lines []LogLine, err error) {
	about := "logs of " + c.Name()
	parts, err := c.Logs(ctx, c.since, c.names...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", about, err)
	}
	for _, b := range parts {
		more, err := parser(serviceLine).lines(about, b)
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

// Where the Collector writes the records in its container.
const (
	containerTool = "/tools/labtool"
	recordsFolder = "/logs"
	recordsName   = "otlp.jsonl"
)

// containerRecords are the files of the Collector's containers.
type containerRecords struct {
	source
	files []*containerFile
}

// ContainerRecords are the log records that the Collector received, as it writes them in
// its containers: see CollectorLog.
func ContainerRecords(ctx context.Context, c Containers, names ...string) LogSource {
	r := &containerRecords{source: source{name: collectorRecords}}
	for _, name := range names {
		f := &containerFile{Containers: c, name: name, old: map[string]bool{}}
		var rotated []string
		f.mark, rotated, f.err = f.list(ctx)
		for _, name := range rotated {
			f.old[name] = true
		}
		r.files = append(r.files, f)
	}
	return r
}

// Lines implements LogSource.
func (r *containerRecords) Lines(ctx context.Context) (lines []LogLine, err error) {
	for _, f := range r.files {
		more, err := f.lines(ctx)
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

// containerFile is the Collector's file in one container.
type containerFile struct {
	Containers
	name string
	mark int64           // its size when the source was made
	old  map[string]bool // files that had been rotated by then
	err  error           // of the first list
}

// tool runs labtool in the Collector's container.
func (f *containerFile) tool(ctx context.Context, args ...string) ([]byte, error) {
	b, err := f.Exec(ctx, f.name, append([]string{containerTool}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", collectorRecords, err)
	}
	return b, nil
}

// list returns the size of the file, and the names of its rotated files, in order.
// A missing file counts as empty.
func (f *containerFile) list(ctx context.Context) (size int64, rotated []string, err error) {
	b, err := f.tool(ctx, "ls", recordsFolder)
	if err != nil {
		return 0, nil, err
	}
	base, ext, _ := strings.Cut(recordsName, ".")
	for line := range bytes.Lines(b) {
		var file struct {
			Name string
			Size *int64
		}
		if err := json.Unmarshal(line, &file); err != nil || file.Size == nil {
			return 0, nil, fmt.Errorf("%s: %s printed %.200q, which is not a file: %v", collectorRecords, containerTool, line, err)
		}
		switch {
		case file.Name == recordsName:
			size = *file.Size
		case strings.HasPrefix(file.Name, base+"-") && strings.HasSuffix(file.Name, "."+ext): // with the time between
			rotated = append(rotated, file.Name)
		}
	}
	slices.Sort(rotated)
	return size, rotated, nil
}

// lines returns what was written since the first list. A file that has been rotated meanwhile has
// another name, and a new one takes its place.
func (f *containerFile) lines(ctx context.Context) ([]LogLine, error) {
	if f.err != nil {
		return nil, fmt.Errorf("before the load: %w", f.err)
	}
	size, rotated, err := f.list(ctx)
	if err != nil {
		return nil, err
	}
	rotated = slices.DeleteFunc(rotated, func(name string) bool { return f.old[name] })
	if len(rotated) == 0 && size < f.mark {
		return nil, fmt.Errorf("%s: %s was truncated from %d to %d bytes, and no rotated file has the rest", collectorRecords, recordsName, f.mark, size)
	}
	var lines []LogLine
	from := f.mark
	for _, name := range append(rotated, recordsName) {
		b, err := f.tool(ctx, "cat", recordsFolder+"/"+name, strconv.FormatInt(from, 10))
		if err != nil {
			return nil, err
		}
		more, err := parser(records).lines(collectorRecords, b)
		if err != nil {
			return nil, err
		}
		lines, from = append(lines, more...), 0
	}
	return lines, nil
}
