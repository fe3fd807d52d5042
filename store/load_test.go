package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/cli/clitest"
	"soundcheck/internal/fakealbum"
)

// newProcess starts a store of its own, which ends with the test.
func newProcess(t testing.TB, db string) *process {
	t.Helper()
	p := &process{addr: clitest.FreeAddr(t)}
	p.start(t, db)
	t.Cleanup(p.kill)
	return p
}

// memory returns a value in bytes from /proc, such as VmRSS, or 0 where there is none.
func (p *process) memory(name string) (n int64) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			fmt.Sscan(rest, &n)
		}
	}
	return n << 10
}

// Ten thousand clients at once, each on a connection of its own, all get a response,
// and the store's memory stays within bounds.
func TestManyClients(t *testing.T) {
	const clients, most = 10_000, 1 << 30
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Max < clients+1000 {
		t.Skipf("at most %d files may be open here, %d connections are needed: %v", limit.Max, clients, err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	p := newProcess(t, "sqlite:"+filepath.Join(t.TempDir(), "albums.db"))
	var connected, done sync.WaitGroup
	var created, unknown atomic.Int64
	statuses := make([]int, 2*clients)
	all := make(chan struct{}) // closed when all are connected
	connected.Add(clients)
	for i := range clients {
		done.Go(func() {
			c := client{n: i}
			err := c.dial(p.addr)
			if err == nil {
				defer func() { c.Close() }() // the last one
				statuses[2*i], err = c.ask(p.addr)
			}
			connected.Done()
			<-all
			if err == nil {
				statuses[2*i+1], err = c.ask(p.addr)
			}
			if err != nil {
				t.Errorf("client %d: %v", i, err)
			}
			created.Add(c.created)
			unknown.Add(c.unknown)
		})
	}
	connected.Wait()
	close(all)
	done.Wait()
	counts := map[int]int{}
	for _, status := range statuses {
		counts[status]++
	}
	for status := range counts {
		if status != 200 && status != 201 && status != 503 { // 503: no free database connection in time
			t.Errorf("answers: %v", counts)
		}
	}
	if counts[200] == 0 || counts[201] == 0 { // how many depends on the machine
		t.Errorf("answers: %v, some should be 200, and some 201", counts)
	}
	peak := p.memory("VmHWM")
	t.Logf("answers %v, at most %d MB of memory", counts, peak>>20)
	if peak > most {
		t.Errorf("%d MB of memory, want at most %d", peak>>20, most>>20)
	}
	c, err := albumapi.NewClient("http://"+p.addr, albumapi.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n := int64(len(albumtest.All(t, c, album.Query{Limit: 1000}))) - 3
	if n < created.Load() || n > created.Load()+unknown.Load() {
		t.Errorf("%d albums after %d were created, and %d creates had no response", n, created.Load(), unknown.Load())
	}
}

// client is one connection. Each tenth creates albums, the others read.
type client struct {
	net.Conn
	n       int
	r       *bufio.Reader
	created int64
	unknown int64 // creates without a response
}

// dial retries while the listen backlog is full.
func (c *client) dial(addr string) (err error) {
	for range 1000 {
		if c.Conn, err = net.DialTimeout("tcp", addr, 5*time.Minute); err == nil {
			c.r = bufio.NewReader(c.Conn)
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// ask is call on a new connection if the store has closed this one. It does so when a
// client sends no request for five seconds, or waits for two minutes between two: on a slow
// machine the clients are slow, too.
func (c *client) ask(addr string) (status int, err error) {
	for range 5 {
		status, err = c.call()
		if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			break
		}
		if c.n%10 == 0 {
			c.unknown++
		}
		c.Close()
		if err := c.dial(addr); err != nil {
			return 0, err
		}
	}
	return status, err
}

func (c *client) call() (status int, err error) {
	request := "GET /albums?limit=100 HTTP/1.1\r\nHost: store\r\n\r\n"
	if c.n%10 == 0 {
		body := fmt.Sprintf(`{"title":"Title %d","artist":"Artist","price":1}`, c.n)
		request = fmt.Sprintf("POST /albums HTTP/1.1\r\nHost: store\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	if _, err := io.WriteString(c, request); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusCreated {
		c.created++
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// Batches of 10,000 albums over HTTP into SQLite, in a process of its own.
func BenchmarkBatch(b *testing.B) {
	p := newProcess(b, "sqlite:"+filepath.Join(b.TempDir(), "albums.db"))
	c, err := albumapi.NewClient("http://"+p.addr, albumapi.ClientOptions{})
	if err != nil {
		b.Fatal(err)
	}
	w := fakeBatch(0)
	for b.Loop() {
		if _, err := c.Create(b.Context(), w); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(w.Albums))*float64(b.N)/b.Elapsed().Seconds(), "albums/s")
}

func fakeBatch(from int) album.Write {
	w := album.Write{Batch: true}
	for i := range album.MaxBatch {
		w.Albums = append(w.Albums, fakealbum.New(1, uint64(from+i)))
	}
	return w
}

// A stream of a million albums from SQLite: MB-above-idle is by how much the store's
// resident memory grows over what it had when it was started.
func BenchmarkStream(b *testing.B) {
	const albums = 1_000_000
	db := "sqlite:" + filepath.Join(b.TempDir(), "albums.db")
	filling := &process{addr: clitest.FreeAddr(b)}
	filling.start(b, db)
	c, err := albumapi.NewClient("http://"+filling.addr, albumapi.ClientOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for n := 0; n < albums; n += album.MaxBatch {
		if _, err := c.Create(b.Context(), fakeBatch(n)); err != nil {
			b.Fatal(err)
		}
	}
	filling.kill()
	p := newProcess(b, db)
	idle := p.memory("VmRSS")
	for b.Loop() {
		if n := countLines(b, b.Context(), "http://"+p.addr+"/albums"); n != albums+3 {
			b.Fatalf("%d albums in the stream, want %d", n, albums+3)
		}
	}
	b.ReportMetric(float64(p.memory("VmHWM")-idle)/(1<<20), "MB-above-idle")
	b.ReportMetric(float64(albums)*float64(b.N)/b.Elapsed().Seconds(), "albums/s")
}

func countLines(b *testing.B, ctx context.Context, url string) (n int) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 64<<10)
	for {
		k, err := resp.Body.Read(buf)
		n += bytes.Count(buf[:k], []byte("\n"))
		if err == io.EOF {
			return n
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
