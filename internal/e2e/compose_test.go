package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"soundcheck/lab/containers"
	"soundcheck/lab/plan"
)

// composed is a lab in containers. Its addresses are those of a native lab whose ports are
// moved as far.
type composed struct {
	*lab
	p *containers.Lab
}

// newComposed starts a lab in containers, of images that are built here, and makes sure
// that nothing of it outlives the test.
func newComposed(t *testing.T) *composed {
	t.Helper()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("images are built and networks are cut by root, on Linux")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if host := os.Getenv("DOCKER_HOST"); host != "" && !strings.HasPrefix(host, "unix:") {
		t.Skipf("the processes of %s (DOCKER_HOST) are on another machine", host)
	}
	if _, err := containers.FindEngine(ctx); err != nil {
		t.Skipf("no Docker engine to run it: %v", err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	c := &composed{lab: &lab{Lab: plan.Lab{Root: root, State: t.TempDir()}, bin: t.TempDir()}}
	// Not where another lab keeps its data, or a run of this test that was killed left some.
	for c.move(t, 14500); c.docker(t, "volume", "ls", "--quiet", "--filter", fmt.Sprintf("label=com.docker.compose.project=soundcheck-%d", c.Offset)) != ""; {
		c.move(t, c.Offset+37)
	}
	c.build(t, "./compose", "./lab", "./datagen", "./loadgen")
	which := []string{"-state", c.State, "-port-offset", fmt.Sprint(c.Offset)}
	t.Cleanup(func() {
		if t.Failed() && c.p != nil {
			out, err := c.p.Command(context.Background(), "logs", "--no-color", "--tail", "15").CombinedOutput()
			t.Logf("%v\n%s", err, out)
		}
		// t.Context() has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		if _, stderr, code := c.runContext(ctx, t, "compose", append(which, "down", "-volumes")...); code != 0 {
			t.Errorf("down: exit code %d\n%s", code, stderr)
		}
	})
	t.Log("\n" + c.mustRun(t, time.Hour, "compose", append(which, "up", "-images", "local")...))
	if c.p, err = containers.Open(t.Context(), root, c.State, c.Offset, false, func(string) {}); err != nil {
		t.Fatal(err)
	}
	return c
}

// docker runs a command of docker.
func (c *composed) docker(t *testing.T, args ...string) string {
	t.Helper()
	return command(t, exec.CommandContext(t.Context(), "docker", args...))
}

// compose runs a command of docker compose.
func (c *composed) compose(t *testing.T, args ...string) string {
	t.Helper()
	return command(t, c.p.Command(t.Context(), args...))
}

func command(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, &out, &errs)
	}
	return strings.TrimSpace(out.String())
}

// container is what the engine says of one.
type container struct {
	ID           string `json:"Id"`
	RestartCount int
	HostConfig   struct{ Memory int64 }
	State        struct {
		Status    string
		Pid       int
		OOMKilled bool
		Health    struct{ Status string }
	}
	NetworkSettings struct {
		Networks map[string]struct{ IPAddress string }
	}
}

func (c container) healthy() bool {
	return c.State.Status == "running" && c.State.Health.Status == "healthy"
}

// inspect returns the container of a service.
func (c *composed) inspect(t *testing.T, service string) container {
	t.Helper()
	ids := strings.Fields(c.docker(t, "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project="+c.p.Name(),
		"--filter", "label=com.docker.compose.service="+service))
	if len(ids) != 1 {
		t.Fatalf("%s has the containers %q, want one", service, ids)
	}
	var list []container
	if err := json.Unmarshal([]byte(c.docker(t, "inspect", ids[0])), &list); err != nil || len(list) != 1 {
		t.Fatalf("inspect %s: %d containers, %v", service, len(list), err)
	}
	return list[0]
}

// TestCompose runs the lab in containers, with two stores on PostgreSQL, and does to it what
// happens to containers: they are killed, replaced and cut off, and overloaded.
func TestCompose(t *testing.T) {
	c := newComposed(t)
	for _, services := range [][]string{{"album-store-1"}, {"postgres"}, {"proxy-service"}, {"otel-collector"},
		{"album-store-2", "jaeger", "prometheus", "console"}} {
		t.Run("kill "+strings.Join(services, " and "), func(t *testing.T) { c.kill(t, services...) })
	}
	t.Run("verify", func(t *testing.T) { // also what was killed
		t.Log("\n" + c.mustRun(t, 10*time.Minute, "lab", "verify", "-env", "compose", "-state", c.State, "-port-offset", fmt.Sprint(c.Offset), "-duration", "10s"))
	})
	t.Run("console", func(t *testing.T) {
		var lab struct{ Phase string }
		getJSON(t, c.Console()+"/-/lab", &lab)
		if lab.Phase != "up" {
			t.Errorf("the console says that the lab is %q, want up", lab.Phase)
		}
	})
	t.Run("Jaeger is away, and networks are cut", c.queue)
	t.Run("the Collector is away", c.collectorAway)
	t.Run("rolling replacement", c.replace)
	t.Run("memory", c.flood)
}

// kill kills the processes of containers while albums are created, and sees that they come
// back by themselves, that no album was lost, and that telemetry flows again.
func (c *composed) kill(t *testing.T, services ...string) {
	before := map[string]container{}
	for _, service := range services {
		before[service] = c.inspect(t, service)
	}
	albums := c.fill(t, "-n 1200 -rate 250 -concurrency 8")
	for service, was := range before {
		if err := syscall.Kill(was.State.Pid, syscall.SIGKILL); err != nil {
			t.Fatalf("kill %s (pid %d): %v", service, was.State.Pid, err)
		}
	}
	albums.mustRun(t)
	for service, was := range before {
		eventually(t, service+" is back", func() error {
			if now := c.inspect(t, service); now.RestartCount <= was.RestartCount || !now.healthy() {
				return fmt.Errorf("%d restarts after %d, %+v", now.RestartCount, was.RestartCount, now.State)
			}
			return nil
		})
	}
	albums.wait(t)
	c.wantTraces(t)
}

// filling is a datagen that runs.
type filling struct {
	args      string
	out, errs bytes.Buffer
	ended     chan struct{}
	err       error // of the process
}

// fill creates albums, and returns when the first hundred are there.
func (c *composed) fill(t *testing.T, args string) *filling {
	t.Helper()
	resp, err := http.Post(c.Proxy()+"/albums", "application/json", strings.NewReader(anAlbum))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	var id int
	if _, err := fmt.Sscanf(resp.Header.Get("Location"), "/albums/%d", &id); err != nil {
		t.Fatalf("create an album: %s, Location %q: %v", resp.Status, resp.Header.Get("Location"), err)
	}
	f := &filling{args: args, ended: make(chan struct{})}
	cmd := exec.CommandContext(t.Context(), filepath.Join(c.bin, "datagen"), append(strings.Fields(args), "-seed", fmt.Sprint(rand.Uint32()), "-verify", "-patience", "60s", "-url", c.Proxy(), "-format", "json")...)
	cmd.Env = append(os.Environ(), "OTEL_SDK_DISABLED=true")
	cmd.Stdout, cmd.Stderr = &f.out, &f.errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		f.err = cmd.Wait()
		close(f.ended)
	}()
	eventually(t, "albums are created", func() error {
		resp, err := http.Get(fmt.Sprintf("%s/albums/%d", c.Proxy(), id+100))
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusNotFound {
			id++ // ids may be left out
		}
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
	return f
}

// mustRun fails the test if all albums are there already: what was done to the lab was not
// done to datagen.
func (f *filling) mustRun(t *testing.T) {
	t.Helper()
	select {
	case <-f.ended:
		t.Errorf("datagen %s had ended before: %v\n%s%s", f.args, f.err, &f.out, &f.errs)
	default:
	}
}

// wait waits for the rest, and makes sure that each album is there, once, unchanged.
func (f *filling) wait(t *testing.T) {
	t.Helper()
	<-f.ended
	var got filled
	if err := errors.Join(f.err, json.Unmarshal(f.out.Bytes(), &got)); err != nil {
		t.Fatalf("datagen %s: %v\n%s%s", f.args, err, &f.out, &f.errs)
	}
	if n := got.Created + got.AlreadyThere; n == 0 || got.Failed != 0 || got.Verified.Once != n || got.Verified.Albums != n {
		t.Errorf("datagen %s: %+v, want each there once", f.args, got)
	}
	t.Logf("datagen %s: %+v", f.args, got)
}

// stored is a trace as Jaeger has it: how many spans of each service, by kind.
type stored map[string]int

// whole is what a read through the proxy has at least.
var whole = stored{"proxy-service server": 1, "proxy-service client": 1, "album-store server": 1, "album-store internal": 1, "album-store client": 1}

// lacks returns how much of a whole trace is missing.
func (s stored) lacks(service string) (n int) {
	for span, want := range whole {
		if strings.HasPrefix(span, service) {
			n += max(0, want-s[span])
		}
	}
	return n
}

// trace asks Jaeger for a trace; it may know nothing of it.
func (c *composed) trace(ctx context.Context, id string) (stored, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Jaeger()+"/api/traces/"+id, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("trace %s: %s", id, resp.Status)
	}
	var answer struct {
		Data []struct {
			Spans []struct {
				ProcessID string
				Tags      []struct {
					Key   string
					Value any
				}
			}
			Processes map[string]struct{ ServiceName string }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	s := stored{}
	for _, data := range answer.Data {
		for _, span := range data.Spans {
			for _, tag := range span.Tags {
				if tag.Key == "span.kind" {
					s[fmt.Sprint(data.Processes[span.ProcessID].ServiceName, " ", tag.Value)]++
				}
			}
		}
	}
	return s, nil
}

// wantTraces makes sure that new requests, enough to reach both stores, become whole traces.
func (c *composed) wantTraces(t *testing.T) {
	t.Helper()
	var ids []string
	for range 6 {
		id := fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()|1)
		ids = append(ids, id)
		if r := ask(t, "GET", c.Proxy()+"/albums/1", "", fmt.Sprintf("traceparent: 00-%s-%016x-01", id, rand.Uint64()|1)); r.status != http.StatusOK {
			t.Fatalf("GET /albums/1: %+v", r)
		}
	}
	for _, id := range ids {
		eventually(t, "trace "+id, func() error {
			s, err := c.trace(t.Context(), id)
			if err != nil || s.lacks("") > 0 {
				return fmt.Errorf("%v %v, want %v", s, err, whole)
			}
			return nil
		})
	}
}
