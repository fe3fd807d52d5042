// Package kubernetes runs a load test on the pods of a cluster: it installs one release of the chart
// soundcheck-load, follows the coordinator's messages, and removes the release.
package kubernetes

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"soundcheck/deploy/charts"
	"soundcheck/lab/kube"
)

// Lab is what the lab of a cluster says about load from it. Fields may be empty.
type Lab struct {
	Namespace string
	Image     string // of loadgen
	URL       string // of the proxy
	Jaeger    string // query API
	OTLP      string // endpoint of the Collector, OTLP/HTTP
	Traces    string // Service that has a page of each trace, on TracesPort
}

// TracesPort is the port of Jaeger's pages, and of the console's, on which they are forwarded.
const TracesPort = 16696

// FindLab finds the lab of a cluster.
func FindLab(ctx context.Context, o kube.Options) (Lab, error) {
	r, err := kube.Find(ctx, o)
	if err != nil {
		return Lab{}, err
	}
	defer r.Close()
	data, err := r.LoadDefaults(ctx)
	return Lab{r.Namespace, data["image"], data["url"], data["jaeger"], data["otlp"], data["traces"]}, err
}

// Run is a run.
type Run struct {
	kube.Options // Release is the name of the run's
	Workers      int
	StopExtent   time.Duration // of the coordinator, from the end of the run's context to the report
	Token        string        // of the coordinator
	Files        []string      // values files of the user
	Sets         []string      // NAME=VALUE of the user

	Line, Show func(string) // for the user
	// Follow gets each message of the coordinator, and reports whether it is the last one.
	Follow func(message []byte) (last bool, err error)
}

// Times of a run.
const (
	retryWatch      = 500 * time.Millisecond
	stopMargin      = 15 * time.Second // to reach the coordinator after ctx has ended, to merge, and for the last message
	uninstallExtent = time.Minute
)

// Names of the chart.
const (
	chart       = "soundcheck-load"
	coordinator = "coordinator"
	port        = 7070
)

// Do installs the release with values, follows the run to its end, and removes the release. When ctx ends,
// the run is stopped; its last message comes all the same.
func (r Run) Do(ctx context.Context, values []byte) (err error) {
	if err := kube.Installed(); err != nil {
		return err
	}
	r.Line(fmt.Sprintf("installing release %s in namespace %s", r.Release, r.Namespace))
	defer func() {
		r.Show("removing release " + r.Release)
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), uninstallExtent)
		defer cancel()
		if e := kube.Helm(after, r.Options, nil, "uninstall", r.Release, "--cascade", "foreground", "--ignore-not-found"); e != nil {
			err = errors.Join(err, fmt.Errorf("the release was not removed (helm uninstall %s --namespace %s): %w", r.Release, r.Namespace, e))
		}
	}()
	if err := r.install(ctx, values); ctx.Err() != nil {
		return errors.New("interrupted before the start")
	} else if err != nil {
		return err
	}
	return r.watch(ctx)
}

// install installs the chart of this binary.
func (r Run) install(ctx context.Context, values []byte) error {
	dir, err := os.MkdirTemp("", "soundcheck-load-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files, err := fs.Sub(charts.Load, chart)
	if err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(dir, chart), files); err != nil {
		return err
	}
	args := []string{"install", r.Release, filepath.Join(dir, chart), "--values", "-"}
	for _, file := range r.Files {
		args = append(args, "--values", file)
	}
	for _, set := range r.Sets {
		args = append(args, "--set", set)
	}
	return kube.Helm(ctx, r.Options, bytes.NewReader(values), args...)
}

// Ended is the error of a coordinator that has ended before its last message was received.
type Ended struct {
	why, log string
	Code     int // exit code
}

// Error implements error.
func (e *Ended) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the coordinator has ended: %s\n%s", e.why, e.log))
}

// watch follows the coordinator until its last message.
func (r Run) watch(ctx context.Context) error {
	// The end of ctx ends the run, not what is needed to get its last message.
	with, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	o := r.Options
	o.PartOf = chart
	pods, err := kube.Find(with, o)
	if err != nil {
		return err
	}
	defer pods.Close()
	var address atomic.Pointer[string] // of the coordinator, when it is known
	stopped, patience := make(chan struct{}), r.StopExtent+stopMargin
	running := context.AfterFunc(ctx, func() {
		defer close(stopped)
		r.Show(fmt.Sprintf("stopping: waits up to %.0f s for the reports of %d workers", patience.Seconds(), r.Workers))
		time.AfterFunc(patience, cancel)
		r.stop(with, &address)
	})
	defer func() {
		if !running() {
			cancel()
			<-stopped
		}
	}()
	said := ""
	for {
		if at := address.Load(); at != nil {
			if last, err := r.follow(with, *at); last {
				return err
			}
		}
		why, ended, code := state(with, pods)
		switch {
		case ended:
			log, _ := pods.LogTail(with, coordinator)
			return &Ended{why, log, code}
		case why != "" && ctx.Err() != nil && address.Load() == nil:
			return errors.New("interrupted before the start: " + why)
		case why == "" && address.Load() == nil: // kubectl would wait long for a pod that does not run
			at, err := pods.Forward(with, coordinator, port)
			if errors.As(err, new(kube.Forbidden)) {
				return err
			} else if err == nil {
				address.Store(&at)
				continue
			}
			why = err.Error()
		}
		if with.Err() != nil {
			return fmt.Errorf("interrupted: no report within %.0f s", patience.Seconds())
		}
		if why != "" && why != said {
			said = why
			r.Line("waiting for the coordinator: " + why)
		}
		pause(with)
	}
}

// pause waits before another attempt.
func pause(ctx context.Context) {
	select {
	case <-time.After(retryWatch):
	case <-ctx.Done():
	}
}

// state says what keeps the coordinator from running.
func state(ctx context.Context, pods *kube.Release) (why string, ended bool, code int) {
	b, err := pods.PodList(ctx, coordinator)
	if err != nil {
		return "", false, 0
	}
	return podState(b)
}

func (r Run) request(ctx context.Context, method, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+r.Token)
	return http.DefaultClient.Do(req)
}

// stop asks the coordinator to end the run, as soon as its address is known.
func (r Run) stop(ctx context.Context, address *atomic.Pointer[string]) {
	for ; ctx.Err() == nil; pause(ctx) {
		at := address.Load()
		if at == nil {
			continue
		}
		if resp, err := r.request(ctx, http.MethodPost, "http://"+*at+"/v1/stop"); err == nil {
			resp.Body.Close()
			return
		}
	}
}

// maxMessage is the max length of a message: a report with all histograms.
const maxMessage = 256 << 20

// follow reads messages to the last one, or to the end of the connection.
func (r Run) follow(ctx context.Context, address string) (last bool, err error) {
	resp, err := r.request(ctx, http.MethodGet, "http://"+address+"/v1/watch")
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK { // a wrong token, such as one of -set, stays wrong
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return resp.StatusCode < 500, fmt.Errorf("the coordinator responded %s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxMessage)
	lines.Split(complete)
	for lines.Scan() {
		if last, err := r.Follow(lines.Bytes()); last || err != nil {
			return true, err
		}
	}
	return errors.Is(lines.Err(), bufio.ErrTooLong), cmp.Or(lines.Err(), io.ErrUnexpectedEOF)
}

// complete is a bufio.SplitFunc for lines. When a connection breaks in the middle of one, the half that came is no
// message.
func complete(data []byte, atEOF bool) (advance int, line []byte, err error) {
	if atEOF && bytes.IndexByte(data, '\n') < 0 {
		return len(data), nil, nil
	}
	return bufio.ScanLines(data, atEOF)
}

// Image returns the chart's values for the reference of an image.
func Image(ref string) map[string]any {
	rest, digest, _ := strings.Cut(ref, "@")
	tag := ""
	if at := strings.LastIndexByte(rest, ':'); at > strings.LastIndexByte(rest, '/') {
		rest, tag = rest[:at], rest[at+1:]
	}
	return map[string]any{"repository": rest, "tag": tag, "digest": digest}
}
