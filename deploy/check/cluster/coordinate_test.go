package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// started is "loadgen k8s" in progress.
type started struct {
	*release
	cmd    *exec.Cmd
	stdout bytes.Buffer
	errors string // file of stderr
	ended  chan error
}

// loadgen starts loadgen k8s on the lab of the release.
func (r *release) loadgen(args ...string) *started {
	r.Helper()
	s := &started{release: r, ended: make(chan error, 1)}
	all := []string{"k8s"}
	if args[0] == "capacity" {
		all, args = append(all, "capacity"), args[1:]
	} else {
		all = append(all, "-keep=")
	}
	s.cmd = exec.Command(programs+"/loadgen", append(append(all, "-namespace", r.namespace, "-format", "json"), args...)...)
	s.errors = filepath.Join(r.TempDir(), "stderr")
	stderr, err := os.Create(s.errors)
	if err != nil {
		r.Fatal(err)
	}
	defer stderr.Close()
	s.cmd.Stdout, s.cmd.Stderr = &s.stdout, stderr
	if err := s.cmd.Start(); err != nil {
		r.Fatal(err)
	}
	go func() { s.ended <- s.cmd.Wait() }()
	r.Cleanup(func() { _ = s.cmd.Process.Kill() })
	return s
}

func (s *started) stderr() string {
	text, err := os.ReadFile(s.errors)
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}

// distributed is what these tests read of a report.
type distributed struct {
	RunID     string `json:"run_id"`
	Sent      int
	Planned   int
	Processes int
	Ended     string
	Invalid   []string
	Elapsed   float64
	StartedAt time.Time `json:"started_at"`
	Classes   map[string]int
	Response  struct{ Count int64 }       `json:"response_time"`
	Tail      []struct{ Scenario string } `json:"tail_attribution"`
}

// wait waits for the end, and returns the exit code.
func (s *started) wait() (d distributed, code int) {
	s.Helper()
	s.await("the end of loadgen k8s", func() bool { return len(s.ended) > 0 })
	<-s.ended
	if err := json.Unmarshal(s.stdout.Bytes(), &d); err != nil {
		s.Fatalf("%v: exit code %d, %q\n%s", err, s.cmd.ProcessState.ExitCode(), s.stdout.String(), s.stderr())
	}
	return d, s.cmd.ProcessState.ExitCode()
}

// nothingLeft waits until nothing of a load test is left.
func (r *release) nothingLeft() {
	r.Helper()
	const kinds = "pods,jobs,services,secrets,serviceaccounts,roles,rolebindings,configmaps"
	r.await("an empty namespace", func() bool {
		return r.kubectl("get", kinds, "-l", "app.kubernetes.io/part-of=soundcheck-load", "-o", "name") == "" &&
			r.kubectl("get", "secrets", "-l", "owner=helm,name!=lab", "-o", "name") == ""
	})
}

// firsts returns the start of the first request of each worker, as its client spans have it.
func (s *started) firsts(runID string) map[string]time.Time {
	list := map[string]time.Time{}
	tags := url.QueryEscape(fmt.Sprintf(`{"soundcheck.loadgen.run":%q}`, runID))
	resp, err := client.Get("http://" + s.address("jaeger", "http") + "/api/traces?service=loadgen&limit=1000&lookback=1h&tags=" + tags)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.Fatalf("%v, %v", resp, err)
	}
	defer resp.Body.Close()
	var found struct {
		Data []struct {
			Spans []struct {
				StartTime int64
				Tags      []struct {
					Key   string
					Value any
				}
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&found); err != nil {
		s.Fatal(err)
	}
	for _, trace := range found.Data {
		for _, span := range trace.Spans {
			for _, tag := range span.Tags {
				if tag.Key != "soundcheck.loadgen.worker" {
					continue
				}
				worker, at := fmt.Sprint(tag.Value), time.UnixMicro(span.StartTime)
				if first, ok := list[worker]; !ok || at.Before(first) {
					list[worker] = at
				}
			}
		}
	}
	return list
}

var clockLine = regexp.MustCompile(`clock offsets: max (\S+) \(worker (\d+)\), each known to ±(\S+)`)

// Load from three pods, one with a clock that is 250 ms ahead if SOUNDCHECK_K8S_SKEWED names an image of
// loadgen built with -ldflags '-X main.clockAhead=1:250ms'.
func TestCoordinate(t *testing.T) {
	r := newRelease(t, "load", "database.kind=memory")
	r.do("install")
	skewed := os.Getenv("SOUNDCHECK_K8S_SKEWED")
	const workers, rate = 3, 60

	t.Run("run", func(t *testing.T) {
		var apart time.Duration
		for range 5 { // a busy node can delay a first request
			args := []string{"-workers", strconv.Itoa(workers), "-rate", strconv.Itoa(rate), "-duration", "8s", "-slo", "p50<10s"}
			if skewed != "" {
				args = append(args, "-image", skewed)
			}
			s := r.loadgen(args...)
			d, code := s.wait()
			if d.Sent != 8*rate || d.Planned != 8*rate || d.Processes != workers || d.Response.Count != 8*rate || code != 0 && code != 4 || len(d.Tail) == 0 {
				t.Fatalf("exit code %d, %+v\n%s", code, d, s.stderr())
			}
			m := clockLine.FindStringSubmatch(s.stderr())
			t.Logf("exit code %d, invalid %q, clocks %q", code, d.Invalid, m)
			if skewed != "" {
				if m == nil || m[2] != "1" || !strings.HasPrefix(m[1], "249.") && !strings.HasPrefix(m[1], "25") {
					t.Errorf("%q in\n%s", m, s.stderr())
				}
			}
			first := s.firsts(d.RunID)
			if len(first) != workers {
				t.Fatalf("spans of workers %v", first)
			}
			apart = 0
			for i := range workers { // worker i sends request i first
				off := first[strconv.Itoa(i)].Sub(first["0"]) - time.Duration(i)*time.Second/rate
				apart = max(apart, off.Abs())
			}
			t.Logf("first requests: %s off their schedule at most", apart)
			if apart <= 10*time.Millisecond {
				break
			}
		}
		if apart > 10*time.Millisecond {
			t.Errorf("workers start %s apart", apart)
		}
		r.nothingLeft()
	})

	t.Run("files", func(t *testing.T) {
		var targets strings.Builder
		for i := range 120 {
			fmt.Fprintf(&targets, "GET http://lab-soundcheck-proxy-service:9070/albums/{{id}}?n=%d\n\n", i)
		}
		dir := t.TempDir()
		if err := errors.Join(os.WriteFile(dir+"/targets.txt", []byte(targets.String()), 0o600), os.WriteFile(dir+"/the ids.csv", []byte("id\n1\n2\n3\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
		s := r.loadgen("-workers", "2", "-rate", "60", "-each-once", "-targets", dir+"/targets.txt", "-data", dir+"/the ids.csv", "-explain=false")
		d, code := s.wait()
		if d.Sent != 120 || d.Planned != 120 || d.Processes != 2 || d.Classes["good"] != 120 || code != 0 && code != 4 {
			t.Errorf("exit code %d, %+v\n%s", code, d, s.stderr())
		}
		r.nothingLeft()
	})

	t.Run("a killed worker", func(t *testing.T) {
		s := r.loadgen("-workers", "3", "-rate", "30", "-duration", "10m")
		pod := s.flowing()
		begun := time.Now()
		r.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
		d, code := s.wait()
		t.Logf("%.1f s after the kill the release is removed, too: exit code %d, ended %q, invalid %q", time.Since(begun).Seconds(), code, d.Ended, d.Invalid)
		// It may get a SIGTERM first, and then delivers its part.
		if code != 4 || !strings.HasPrefix(d.Ended, "worker 1 ") || len(d.Invalid) == 0 || !strings.HasPrefix(d.Invalid[0], "worker 1 ") || d.Processes < 2 {
			t.Errorf("exit code %d, %+v\n%s", code, d, s.stderr())
		}
		// Elapsed begins with the run, and ends with the last response.
		if ended := d.StartedAt.Add(time.Duration(d.Elapsed * float64(time.Second))); ended.Sub(begun) > 5*time.Second {
			t.Errorf("the run went on for %s", ended.Sub(begun))
		}
		r.nothingLeft()
	})

	t.Run("Ctrl-C", func(t *testing.T) {
		s := r.loadgen("-workers", "2", "-rate", "30", "-duration", "10m")
		s.flowing()
		begun := time.Now()
		if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		d, code := s.wait()
		ended := d.StartedAt.Add(time.Duration(d.Elapsed * float64(time.Second)))
		t.Logf("the last response came %.1f s after Ctrl-C; exit code %d, ended %q", ended.Sub(begun).Seconds(), code, d.Ended)
		if code != 1 || d.Ended != "interrupted" || d.Processes != 2 || d.Sent == 0 || ended.Sub(begun) > 2*time.Second {
			t.Errorf("exit code %d, %+v\n%s", code, d, s.stderr())
		}
		r.nothingLeft()
	})

	t.Run("a pod that does not fit", func(t *testing.T) {
		s := r.loadgen("-workers", "2", "-rate", "30", "-wait", "10s", "-set", "worker.resources.requests.cpu=1000")
		r.await("the end of loadgen k8s", func() bool { return len(s.ended) > 0 })
		<-s.ended
		if code := s.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(s.stderr(), "Insufficient cpu") {
			t.Errorf("exit code %d\n%s", code, s.stderr())
		}
		r.nothingLeft()
	})

	t.Run("capacity", func(t *testing.T) {
		s := r.loadgen("capacity", "-workers", "2", "-slo", "p50<10s", "-from", "20", "-to", "40", "-step", "2s", "-warmup", "500ms")
		r.await("the end of loadgen k8s", func() bool { return len(s.ended) > 0 })
		<-s.ended
		var c struct {
			Rate  float64
			Limit string
			Steps []struct {
				Rate     float64 `json:"rate_target"`
				Requests int
			}
		}
		if err := json.Unmarshal(s.stdout.Bytes(), &c); err != nil || len(c.Steps) < 2 || c.Rate < 20 || math.Abs(float64(c.Steps[0].Requests)-40) > 1 {
			t.Errorf("%v: exit code %d, %+v\n%s", err, s.cmd.ProcessState.ExitCode(), c, s.stderr())
		}
		r.nothingLeft()
	})
}

// flowing waits until the proxy gets requests of the run, and returns the pod of worker 1.
func (s *started) flowing() string {
	s.Helper()
	pod := ""
	s.await("worker 1", func() bool {
		out := s.kubectl("get", "pods", "-l", "app.kubernetes.io/component=worker,batch.kubernetes.io/job-completion-index=1", "--field-selector=status.phase=Running", "-o", "jsonpath={.items[*].metadata.name}")
		if pod = out; pod == "" {
			return false
		}
		return strings.Contains(s.stderr(), " requests, 0 failed, ") // the progress of the run
	})
	return pod
}
