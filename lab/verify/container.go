package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Compose runs commands of docker compose for a lab that runs in containers.
type Compose interface {
	Command(ctx context.Context, args ...string) *exec.Cmd
}

// commandTimeout is the timeout of a command. Tests shorten it.
var commandTimeout = 30 * time.Second

// bounded stores the output of a command, up to a limit. It embeds no buffer: io.Copy
// would use its ReadFrom, which has no limit.
type bounded struct {
	data []byte
	max  int
	over error // returned beyond the limit; nil: the rest is dropped
}

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.max-len(b.data))
	b.data = append(b.data, p[:n]...)
	if n < len(p) && b.over != nil {
		return n, b.over
	}
	return len(p), nil
}

// output runs a command of docker compose and returns its output. About is the prefix of
// its errors.
func output(ctx context.Context, c Compose, about string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := c.Command(ctx, args...)
	errTooMuch := fmt.Errorf("more than %d MiB", maxResponse>>20) // ends it
	out, errs := &bounded{max: maxResponse, over: errTooMuch}, &bounded{max: 4096}
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.WaitDelay = time.Second // docker's plugin may outlive docker and hold its output open
	err := cmd.Run()
	switch {
	case len(out.data) == maxResponse:
		return nil, fmt.Errorf("%s: %w", about, errTooMuch)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: docker compose does not respond: %w", about, ctx.Err())
	case err != nil:
		text := strings.TrimSpace(string(errs.data))
		return nil, fmt.Errorf("%s: docker compose %s: %w: %s", about, strings.Join(args, " "), err, text[max(0, len(text)-500):])
	}
	return out.data, nil
}

// containers are the logs of the containers of a service.
type containers struct {
	Compose
	source
	names []string // of Compose's services
	since time.Time
}

// ContainerLog is the output of a service's containers: JSON lines. Names are
// Compose's service names.
func ContainerLog(c Compose, service string, names ...string) LogSource {
	// Docker's clock may differ from ours. Older lines do no harm.
	return &containers{c, source{strings.Join(names, ", "), service}, names, time.Now().Add(-margin)}
}

// Lines implements LogSource.
func (c *containers) Lines(ctx context.Context) ([]LogLine, error) {
	about := "logs of " + c.Name()
	args := append([]string{"logs", "--no-log-prefix", "--no-color", "--since", c.since.UTC().Format(time.RFC3339Nano)}, c.names...)
	b, err := output(ctx, c, about, args...)
	if err != nil {
		return nil, err
	}
	return parser(serviceLine).lines(about, b)
}

// Where the Collector writes the records in its container.
const (
	collectorContainer = "otel-collector"
	containerTool      = "/tools/labtool"
	recordsFolder      = "/logs"
	recordsName        = "otlp.jsonl"
)

// containerRecords is the Collector's file in its container.
type containerRecords struct {
	Compose
	source
	mark int64           // its size when the source was made
	old  map[string]bool // files that had been rotated by then
	err  error           // of the first list
}

// ContainerRecords are the log records that the Collector received, as it writes them in
// its container: see CollectorLog.
func ContainerRecords(ctx context.Context, c Compose) LogSource {
	r := &containerRecords{Compose: c, source: source{name: collectorRecords}, old: map[string]bool{}}
	var rotated []string
	r.mark, rotated, r.err = r.list(ctx)
	for _, name := range rotated {
		r.old[name] = true
	}
	return r
}

// tool runs labtool in the Collector's container.
func (r *containerRecords) tool(ctx context.Context, args ...string) ([]byte, error) {
	return output(ctx, r, collectorRecords, append([]string{"exec", "-T", collectorContainer, containerTool}, args...)...)
}

// list returns the size of the file, and the names of its rotated files, in order.
// A missing file counts as empty.
func (r *containerRecords) list(ctx context.Context) (size int64, rotated []string, err error) {
	b, err := r.tool(ctx, "ls", recordsFolder)
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

// Lines implements LogSource. A file that has been rotated meanwhile has another name, and
// a new one takes its place.
func (r *containerRecords) Lines(ctx context.Context) ([]LogLine, error) {
	if r.err != nil {
		return nil, fmt.Errorf("before the load: %w", r.err)
	}
	size, rotated, err := r.list(ctx)
	if err != nil {
		return nil, err
	}
	rotated = slices.DeleteFunc(rotated, func(name string) bool { return r.old[name] })
	if len(rotated) == 0 && size < r.mark {
		return nil, fmt.Errorf("%s: %s was truncated from %d to %d bytes, and no rotated file has the rest", collectorRecords, recordsName, r.mark, size)
	}
	var lines []LogLine
	from := r.mark
	for _, name := range append(rotated, recordsName) {
		b, err := r.tool(ctx, "cat", recordsFolder+"/"+name, strconv.FormatInt(from, 10))
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
