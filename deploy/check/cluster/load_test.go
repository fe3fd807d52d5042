package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// rate of the load, in req/s. Of these, a writer creates albums, and reads each back.
const (
	rate   = 200
	writes = 20
)

// load is what loadgen and a writer send until stop.
type load struct {
	r      *release
	url    string
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr bytes.Buffer
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	created map[int64]string // titles by id
	traces  map[string]int64 // ids of albums by trace id
	failed  []string
	written int // requests of the writer
	served  int // successful requests: the proxy has counted each
	unsure  int // failed requests: the proxy may have counted them
}

// start sends the load to the proxy, and waits until it flows.
func (r *release) start(args ...string) *load {
	r.Helper()
	return r.load("http://"+r.address("proxy-service", "http"), args...)
}

// load is start for another URL.
func (r *release) load(url string, args ...string) *load {
	r.Helper()
	l := &load{r: r, url: url, created: map[int64]string{}, traces: map[string]int64{}}
	l.settle()
	l.cmd = exec.Command(programs+"/loadgen", append([]string{"-url", l.url, "-rate", strconv.Itoa(rate - 2*writes), "-duration", "15m", "-mix", "get=70,list=15,create=15",
		"-format", "json", "-explain=false", "-keep=", "-quiet", "-trace-sample", "0"}, args...)...)
	l.cmd.Stdout, l.cmd.Stderr = &l.stdout, &l.stderr
	// Its own telemetry has no receiver here.
	l.cmd.Env = append(os.Environ(), "OTEL_SDK_DISABLED=true")
	if err := l.cmd.Start(); err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.wg.Go(func() { l.write(ctx) })
	r.Cleanup(func() { cancel(); l.cmd.Process.Kill() })
	l.more(5 * writes)
	return l
}

// settle waits until the services respond quickly: new ones on a busy node shed requests.
func (l *load) settle() {
	l.r.Helper()
	quick := 0
	l.r.await("20 quick responses", func() bool {
		for quick < 20 {
			begun := time.Now()
			if !l.r.ask(l.url) || time.Since(begun) > 25*time.Millisecond {
				quick = 0
				return false
			}
			quick++
		}
		return true
	})
}

// write creates albums at the rate of writes.
func (l *load) write(ctx context.Context) {
	tick := time.NewTicker(time.Second / writes)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		title := fmt.Sprintf("Written %d", n)
		l.wg.Go(func() {
			id, trace, err := create(l.url, title)
			if err == nil {
				err = read(l.url, id, title)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.written++
			if id != 0 {
				l.written++ // and read
				l.created[id], l.traces[trace] = title, id
			}
			if err != nil {
				l.failed = append(l.failed, time.Now().Format(time.TimeOnly)+" "+err.Error())
			}
		})
	}
}

var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}

// create creates an album, in a trace that is sampled, and returns the ids of both.
func create(url, title string) (id int64, trace string, err error) {
	req, err := http.NewRequest(http.MethodPost, url+"/albums", strings.NewReader(fmt.Sprintf(`{"title":%q,"artist":"Test","price":1.5}`, title)))
	if err != nil {
		return 0, "", err
	}
	trace = fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()|1)
	req.Header.Set("Content-Type", "application/json")
	// A connection that the server closes while the request is sent fails it. With the key, the client sends it again.
	req.Header.Set("Idempotency-Key", trace)
	req.Header.Set("Traceparent", "00-"+trace+"-"+trace[16:]+"-01")
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	var album struct{ ID int64 }
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusCreated {
		return 0, "", fmt.Errorf("POST /albums: %s %s %v", resp.Status, body, err)
	}
	err = json.Unmarshal(body, &album)
	return album.ID, trace, err
}

// read reads an album.
func read(url string, id int64, title string) error {
	resp, err := client.Get(fmt.Sprintf("%s/albums/%d", url, id))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(strconv.Quote(title))) {
		return fmt.Errorf("album %d %q: %s %s %v", id, title, resp.Status, body, err)
	}
	return nil
}

// lost are the albums that cannot be read back.
func lost(url string, albums map[int64]string) (lost []string) {
	for id, title := range albums {
		if err := read(url, id, title); err != nil {
			lost = append(lost, err.Error())
		}
	}
	return lost
}

// more waits until the writer has had n more responses.
func (l *load) more(n int) {
	l.r.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.created) + len(l.failed)
	}
	target := count() + n
	l.r.await("responses to the writer", func() bool { return count() >= target })
}

// result of a load.
type result struct {
	sent, failed int
	errors       string
}

// stop ends the load, reads all albums back, and returns the number of failed requests.
func (l *load) stop() (res result) {
	l.r.Helper()
	l.more(3 * writes)
	l.cancel()
	l.wg.Wait()
	l.cmd.Process.Signal(os.Interrupt)
	l.cmd.Wait() // its exit code is 1 after failed requests; the report has their number
	var report struct {
		Sent, Cancelled int

		Classes map[string]int
		Errors  map[string]int
		First   string                     `json:"first_error"`
		Time    struct{ P99, Max float64 } `json:"response_time"`
	}
	if err := json.Unmarshal(l.stdout.Bytes(), &report); err != nil {
		l.r.Fatalf("no report: %v\n%s\n%s", err, l.stdout.String(), l.stderr.String())
	}
	if report.Sent < 100 || len(l.created) < 10 {
		l.r.Errorf("sent %d requests and created %d albums only", report.Sent, len(l.created))
	}
	res = result{report.Sent + l.written, report.Classes["failed"] + report.Classes["shed"] + len(l.failed),
		fmt.Sprint(report.Errors, report.First, l.failed[:min(3, len(l.failed))])}
	// A store that waits for its database responds 503: an album is lost only if a store that is ready lacks it.
	ready := 0
	l.r.await("20 responses of stores that are ready", func() bool {
		for ready < 20 {
			if !l.r.ask(l.url) {
				ready = 0
				return false
			}
			ready++
		}
		return true
	})
	if lost := lost(l.url, l.created); len(lost) > 0 {
		l.r.Errorf("%d of %d albums are lost: %s", len(lost), len(l.created), lost[0])
	}
	// Each album was written, read, and read back.
	l.served = res.sent - res.failed - report.Cancelled + len(l.created)
	l.unsure = res.failed + report.Cancelled
	l.r.Logf("%d requests, %d failed; p99 %.0f ms, max %.0f ms; %d albums read back", res.sent, res.failed, 1000*report.Time.P99, 1000*report.Time.Max, len(l.created))
	return res
}

// clean ends the load, no request of which may have failed.
func (l *load) clean() {
	l.r.Helper()
	if res := l.stop(); res.failed > 0 {
		l.r.Errorf("%d of %d requests failed: %s", res.failed, res.sent, res.errors)
	}
}
