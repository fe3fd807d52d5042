package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"soundcheck/loadgen/measure"
	"soundcheck/loadgen/report"
)

// eventually waits until a condition is true, for at most a minute.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// request sends a request with the token, and returns the status and the text of the response.
func request(t *testing.T, c *http.Client, method, url string, headers map[string]string, body io.Reader) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testToken)
	req.Header.Set(protocolHeader, protocol)
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(text))
}

// raw is a worker that sends what it likes.
type raw struct {
	t      *testing.T
	url    string
	client *http.Client
	out    *io.PipeWriter
	in     *json.Decoder
	run    int
}

func joinRaw(t *testing.T, url string, index int) *raw {
	t.Helper()
	r, w := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/join", r)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + testToken, protocolHeader: protocol, indexHeader: fmt.Sprint(index)} {
		req.Header.Set(name, value)
	}
	c := client()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close(); resp.Body.Close(); c.CloseIdleConnections() })
	return &raw{t, url, c, w, json.NewDecoder(resp.Body), 0}
}

// send sends a text. The connection may end before it is sent.
func (r *raw) send(text string) { _, _ = io.WriteString(r.out, text) }

func (r *raw) sendMessage(m fromWorker) {
	b, err := json.Marshal(m)
	if err != nil {
		r.t.Error(err)
	}
	r.send(string(b) + "\n")
}

// started answers until the run starts. It is false if the connection ends before.
func (r *raw) started() bool {
	for {
		var m toWorker
		if r.in.Decode(&m) != nil {
			return false
		}
		switch {
		case m.Ping > 0:
			r.sendMessage(fromWorker{Pong: &pong{m.Ping, time.Now()}})
		case m.Prepare != nil:
			r.run = m.Prepare.Run
			r.sendMessage(fromWorker{Ready: &outcome{Run: r.run}})
		case m.Start != nil:
			return true
		case m.Bye != nil:
			return false
		}
	}
}

// result sends a report as that of a worker in a run.
func (r *raw) result(worker, run string, body io.Reader) string {
	status, text := request(r.t, r.client, http.MethodPost, r.url+"/v1/result", map[string]string{indexHeader: worker, runHeader: run}, body)
	return fmt.Sprintf("%d %s", status, text)
}

// part is a valid report of a worker of two.
func part(t *testing.T, worker int) io.Reader {
	t.Helper()
	config, err := json.Marshal(plan{20})
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{}
	h := Hooks{Sent: func(time.Duration, time.Time) {}, Live: func(Update) {}}
	r, err := f.Run(t.Context(), Task{RunID: "run", Run: 1, Worker: worker, Workers: 2, Config: config}, time.Now(), h)
	if err != nil {
		t.Fatal(err)
	}
	b, err := report.EncodePart(r)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReader(string(b))
}

// lost reports whether a report names the loss of worker 1, with a reason. It may have others: on a busy machine
// a clock is not known well.
func lost(r *report.Report, why string) bool {
	return slices.ContainsFunc(r.Invalid, func(text string) bool {
		return strings.HasPrefix(text, "worker 1 was lost after ") && strings.Contains(text, why)
	})
}

// A worker that breaks the protocol ends the run, and the report says what it did.
func TestBrokenWorker(t *testing.T) {
	t.Parallel()
	const unexpected = "409 no result of this worker is expected"
	for name, tc := range map[string]struct {
		do      func(r *raw) (response, want string) // after the start
		invalid string
		sent    int
	}{
		"a message that is too long": {func(r *raw) (string, string) {
			r.send(`{"ready":{"error":"` + strings.Repeat("x", maxMessage) + `"}}`)
			return "", ""
		}, "a message is longer than 1048576 bytes", 10},
		"no JSON":        {func(r *raw) (string, string) { r.send("<html>"); return "", "" }, "invalid character '<'", 10},
		"another type":   {func(r *raw) (string, string) { r.send(`{"live":[]}`); return "", "" }, "cannot unmarshal array", 10},
		"half a message": {func(r *raw) (string, string) { r.send(`{"live":`); r.out.Close(); return "", "" }, "the connection ended", 10},
		"numbers that are impossible": {func(r *raw) (string, string) {
			r.sendMessage(fromWorker{Live: &Update{Parts: []measure.Part{{Classes: [4]int{3}}}}})
			return "", ""
		}, "it sent invalid numbers: part of scenario \"\", second 0: 0 response times of 3 served requests", 10},
		"a result of another run": {func(r *raw) (string, string) { return r.result("1", "2", part(r.t, 1)), unexpected }, "the connection ended", 10},
		"a result of nobody":      {func(r *raw) (string, string) { return r.result("2", "1", part(r.t, 1)), unexpected }, "the connection ended", 10},
		"a result without index":  {func(r *raw) (string, string) { return r.result("", "1", part(r.t, 1)), unexpected }, "the connection ended", 10},
		"a result of another shard": {func(r *raw) (string, string) {
			return r.result("1", "1", part(r.t, 0)), `400 a report of shard "1/2" instead of 2/2`
		}, `a report of shard "1/2" instead of 2/2`, 10},
		"no report": {func(r *raw) (string, string) {
			return r.result("1", "1", strings.NewReader("<html>")), "400 invalid report: decode"
		}, "invalid report: decode", 10},
		"a report that is too large": {func(r *raw) (string, string) {
			return r.result("1", "1", strings.NewReader(strings.Repeat(" ", 1<<20+1))), "400 its report has more than 1048576 bytes"
		}, "its report has more than 1048576 bytes", 10},
		"a second report": {func(r *raw) (string, string) {
			if got := r.result("1", "1", part(r.t, 1)); got != "204 " {
				r.t.Error(got)
			}
			return r.result("1", "1", part(r.t, 1)), "400 a second report of the same run"
		}, "a second report of the same run", 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			second := make(chan struct{}) // the raw worker has done all
			other := &fake{do: func(ctx context.Context, _ Hooks) error { <-second; return nil }}
			l := begin(t, other, nil)
			l.maxResult = 1 << 20
			r := joinRaw(t, l.url, 1)
			var sender sync.WaitGroup
			sender.Go(func() {
				defer close(second)
				if !r.started() {
					t.Error("no start")
					return
				}
				if got, want := tc.do(r); !strings.HasPrefix(got, want) {
					t.Errorf("response %q, want %s", got, want)
				} else if strings.HasPrefix(got, "409") {
					r.out.Close()
				}
			})
			rep, err := l.all(t.Context(), Options{}, 20)
			if err != nil {
				l.Close(err) // the worker waits for a start
			}
			sender.Wait()
			if err != nil {
				t.Fatal(err)
			}
			if !lost(rep, tc.invalid) || rep.Sent != tc.sent {
				t.Errorf("invalid %q, %d sent; want %s, %d", rep.Invalid, rep.Sent, tc.invalid, tc.sent)
			}
		})
	}
}

// Before the start, what a worker does is an error of the run.
func TestBrokenBeforeStart(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		do   func(r *raw)
		want string
	}{
		"no JSON":      {func(r *raw) { r.send("<html>") }, "worker 1 was lost before the start: invalid character '<'"},
		"end":          {func(r *raw) { r.out.Close() }, "worker 1 was lost before the start: the connection ended"},
		"ready, other": {func(r *raw) { r.send(`{"ready":{"run":7}}{"ready":{"run":1,"error":"no sockets"}}`) }, "worker 1: no sockets"},
		"a result": {func(r *raw) {
			if got := r.result("1", "1", part(r.t, 1)); got != "409 no result of this worker is expected" {
				r.t.Error(got)
			}
			r.out.Close()
		}, "worker 1 was lost before the start: the connection ended"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := begin(t, &fake{}, nil)
			r := joinRaw(t, l.url, 1)
			var sender sync.WaitGroup
			sender.Go(func() {
				for m := (toWorker{}); m.Prepare == nil; {
					if err := r.in.Decode(&m); err != nil {
						t.Error(err)
						return
					}
				}
				tc.do(r)
			})
			_, err := l.all(t.Context(), Options{}, 20)
			sender.Wait()
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
}

// Requests to join that no worker of this version sends.
func TestJoinRejected(t *testing.T) {
	t.Parallel()
	l := begin(t, nil, nil)
	http1 := &http.Client{Transport: &http.Transport{}}
	defer http1.CloseIdleConnections()
	for name, tc := range map[string]struct {
		client  *http.Client
		headers map[string]string
		want    string
	}{
		"HTTP/1.1":         {http1, nil, "505 workers speak HTTP/2: a proxy in between does not"},
		"another protocol": {client(), map[string]string{protocolHeader: "2"}, `400 protocol "2", want 1: use the same version of loadgen for all`},
		"no protocol":      {client(), map[string]string{protocolHeader: ""}, `400 protocol "", want 1: use the same version of loadgen for all`},
		"no number":        {client(), map[string]string{indexHeader: "one"}, "400 worker one is not one of 0 to 1"},
		"a negative one":   {client(), map[string]string{indexHeader: "-1"}, "400 worker -1 is not one of 0 to 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if status, text := request(t, tc.client, http.MethodPost, l.url+"/v1/join", tc.headers, strings.NewReader("{}")); fmt.Sprintf("%d %s", status, text) != tc.want {
				t.Errorf("%d %s, want %s", status, text, tc.want)
			}
			tc.client.CloseIdleConnections()
		})
	}
}

// The report says what Kubernetes knows of a lost worker. The others end without a wait for it.
func TestLostPod(t *testing.T) {
	t.Parallel()
	cancelled := make(chan struct{})
	other := &fake{do: func(ctx context.Context, _ Hooks) error {
		<-ctx.Done()
		close(cancelled)
		return nil
	}}
	l := begin(t, other, nil)
	l.Missing = func(ctx context.Context) (map[int]string, bool) {
		select {
		case <-cancelled:
			return map[int]string{1: "pod x-1: OOMKilled, exit code 137"}, true
		case <-time.After(time.Minute):
			t.Error("worker 0 runs still")
			return nil, false
		}
	}
	r := joinRaw(t, l.url, 1)
	var sender sync.WaitGroup
	sender.Go(func() {
		if !r.started() {
			t.Error("no start")
		}
		r.out.Close()
	})
	rep, err := l.all(t.Context(), Options{}, 20)
	if err != nil {
		l.Close(err) // the worker waits for a start
	}
	sender.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if got := rep.Invalid; !lost(rep, " (pod x-1: OOMKilled, exit code 137)") || rep.Ended != "worker 1 was lost" || rep.Sent != 10 {
		t.Errorf("invalid %q, ended %q, %d sent", got, rep.Ended, rep.Sent)
	}
}
