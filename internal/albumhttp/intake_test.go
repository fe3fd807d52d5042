package albumhttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/overload"
)

const validAlbum = `{"title":"Title","artist":"Artist","price":1.5}`

// Bodies reach the handler complete, however long.
func TestReceive(t *testing.T) {
	t.Parallel()
	control, err := overload.New(overload.Options{Concurrency: overload.Concurrency{N: 2}, WriteShare: 0.5, QueueWait: time.Millisecond}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, control := range []*overload.Control{control, nil} {
		in := newIntake(intakeSize)
		h := Handler(album.NewMemory(album.Seed()...), HandlerOptions{Service: "album-store", Overload: control, intake: in})
		do := func(method, path string, body io.Reader) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(method, path, body))
			return w
		}
		type unknown struct{ io.Reader } // length
		for _, size := range []int{len(validAlbum), 1000, smallBody, smallBody + 1, 2*smallBody - 1, 2 * smallBody, 64 << 10, DefaultMaxBody} {
			padded := validAlbum + strings.Repeat(" ", size-len(validAlbum))
			for _, body := range []io.Reader{strings.NewReader(padded), unknown{strings.NewReader(padded)}} {
				if w := do("POST", "/albums", body); w.Code != 201 {
					t.Errorf("%d bytes: %d %s", size, w.Code, w.Body)
				}
			}
		}
		for _, tt := range []struct {
			method, path string
			body         io.Reader
			want         int
		}{
			{"POST", "/albums", strings.NewReader(strings.Repeat(" ", DefaultMaxBody+1)), 413},
			{"POST", "/albums", unknown{strings.NewReader(strings.Repeat(" ", DefaultMaxBody+1))}, 413},
			{"PUT", "/albums/1", unknown{strings.NewReader(strings.Repeat(" ", DefaultMaxBody+1))}, 413},
			{"POST", "/albums", iotest.ErrReader(io.ErrUnexpectedEOF), 400},
			{"POST", "/albums", unknown{iotest.ErrReader(io.ErrUnexpectedEOF)}, 400},
			{"POST", "/albums", unknown{strings.NewReader("")}, 400},
			{"POST", "/albums/batch", unknown{strings.NewReader("[" + validAlbum + strings.Repeat(" ", DefaultMaxBody) + "]")}, 201},
			{"GET", "/albums/1", unknown{strings.NewReader(strings.Repeat(" ", 2*DefaultMaxBody))}, 200},
			{"DELETE", "/albums/1", strings.NewReader(strings.Repeat(" ", 2*DefaultMaxBody)), 204},
		} {
			if w := do(tt.method, tt.path, tt.body); w.Code != tt.want {
				t.Errorf("%s %s: %d %s, want %d", tt.method, tt.path, w.Code, w.Body, tt.want)
			}
		}
		if in.free != intakeSize || len(in.bodies) != 0 {
			t.Errorf("%d of %d bytes are free at the end, %d bodies", in.free, intakeSize, len(in.bodies))
		}
	}
}

// slowClient begins to send a request over a connection of its own, and no more.
func slowClient(t *testing.T, url, request string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn
}

// Clients that send slowly keep no slot from others, however many they are and however much
// they announce.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	control, err := overload.New(overload.Options{Concurrency: overload.Concurrency{N: 4}, WriteShare: 0.25, QueueWait: time.Millisecond}, nil)
	if err != nil {
		t.Fatal(err)
	}
	in := newIntake(intakeSize)
	h := Handler(album.NewMemory(), HandlerOptions{Service: "album-store", Overload: control, intake: in})
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close) // after the slow clients have left
	const clients = 20
	for _, path := range []string{"/albums/batch", "/albums"} {
		length := map[string]int{"/albums/batch": maxBatchBody, "/albums": DefaultMaxBody}[path]
		for range clients {
			slowClient(t, srv.URL, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n[", path, length))
		}
	}
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(time.Millisecond) {
		in.mu.Lock()
		n, held := len(in.bodies), intakeSize-in.free
		in.mu.Unlock()
		if n == 2*clients {
			if held != 2*clients*smallBody {
				t.Errorf("%d clients that sent a byte hold %d bytes", n, held)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bodies are received, want %d", n, 2*clients)
		}
	}
	for path, body := range map[string]string{"/albums/batch": "[" + validAlbum + "]", "/albums": validAlbum} {
		resp, err := http.Post(srv.URL+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			t.Errorf("POST %s beside slow clients: %s, want 201", path, resp.Status)
		}
	}
}

// If there is no more memory, the client that is too slow and holds the most is shed at
// once, and told so.
func TestSlowClientIsShed(t *testing.T) {
	t.Parallel()
	in := newIntake(1 << 20)
	in.rate, in.grace, in.maxWait = 1<<40, 0, time.Minute // every client is slow
	srv := httptest.NewServer(Handler(album.NewMemory(), HandlerOptions{Service: "album-store", intake: in}))
	t.Cleanup(srv.Close)
	sent := "[" + strings.Repeat(" ", 600<<10)
	const head = "POST /albums/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
	small := slowClient(t, srv.URL, head+"[")
	large := slowClient(t, srv.URL, head+sent)
	for free := int64(1 << 20); free > 500<<10; time.Sleep(time.Millisecond) {
		in.mu.Lock()
		free = in.free
		in.mu.Unlock()
	}
	resp, err := http.Post(srv.URL+"/albums/batch", "application/json", strings.NewReader("["+validAlbum+strings.Repeat(" ", 500<<10)+"]"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Errorf("%s, want 201", resp.Status)
	}
	answer, err := io.ReadAll(large)
	if err != nil && !errors.Is(err, net.ErrClosed) && len(answer) == 0 {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 503 ")) || !bytes.Contains(answer, []byte("Retry-After: 1\r\n")) || !bytes.Contains(answer, []byte(albumapi.TypePrefix+"overloaded")) {
		t.Errorf("the slow client that holds the most gets %q, want a 503", answer)
	}
	if _, err := io.WriteString(small, validAlbum+strings.Repeat(" ", 900000-2-len(validAlbum))+"]"); err != nil {
		t.Fatal(err)
	}
	status := make([]byte, len("HTTP/1.1 201"))
	if _, err := io.ReadFull(small, status); err != nil || string(status) != "HTTP/1.1 201" {
		t.Errorf("the slow client that holds little gets %q, %v, want 201", status, err)
	}
}

// A request waits for memory. If all wait for each other, one is shed and the others go on.
func TestIntakeWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newIntake(10 * smallBody)
		receive := func(ctx context.Context, size int64) (*received, error) {
			r := &received{in: in, begun: time.Now(), cut: func() {}}
			err := r.readFrom(ctx, bytes.NewReader(make([]byte, size)), size, size)
			if err != nil {
				r.Close()
			}
			return r, err
		}
		first, err := receive(t.Context(), 9*smallBody)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { first.Close() })
		start := time.Now()
		second, err := receive(t.Context(), 5*smallBody)
		if took := time.Since(start); err != nil || took != time.Second {
			t.Errorf("%v after %s, want nil after 1s", err, took)
		}
		var shed *overload.Shed
		start = time.Now()
		if _, err = receive(t.Context(), 9*smallBody); !errors.As(err, &shed) || shed.Reason != overload.QueueTimeout || time.Since(start) < intakeWait || time.Since(start) > intakeWait+2*intakePoll {
			t.Errorf("%v after %s, want a queue timeout after %s", err, time.Since(start), intakeWait)
		}
		gone, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if _, err = receive(gone, 9*smallBody); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the context's error", err)
		}
		cancel()
		second.Close()
		var wg sync.WaitGroup
		var mu sync.Mutex
		served, refused := 0, 0
		for range 3 { // each needs 9 of 10
			wg.Go(func() {
				r, err := receive(t.Context(), 8*smallBody)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					served++
				} else if errors.As(err, &shed) && shed.Reason == overload.QueueFull {
					refused++
				}
				r.Close()
			})
		}
		wg.Wait()
		if served == 0 || served+refused != 3 || in.free != 10*smallBody || len(in.bodies) != 0 {
			t.Errorf("%d served, %d refused, %d bytes free at the end", served, refused, in.free)
		}
	})
}

// However many requests wait, slow clients are looked for once per intakePoll; but the next
// one is shed as soon as the last has given back too little.
func TestIntakeScans(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const clients = 10
		in := newIntake(clients * smallBody)
		start := time.Now()
		for range clients {
			r := &received{in: in, begun: start.Add(50*time.Millisecond - intakeGrace)} // too slow in 50 ms
			r.cut = func() { go r.Close() }
			if err := in.take(t.Context(), r, smallBody); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for _, at := range []time.Duration{0, 60 * time.Millisecond, 70 * time.Millisecond} {
			wg.Go(func() {
				time.Sleep(at)
				r := &received{in: in, begun: time.Now(), cut: func() {}}
				defer r.Close()
				if err := in.take(t.Context(), r, clients*smallBody); err != nil {
					t.Errorf("request after %s: %v", at, err)
				}
				if took := time.Since(start); took != intakePoll {
					t.Errorf("request after %s has memory after %s, want %s", at, took, intakePoll)
				}
			})
		}
		wg.Wait()
		if in.free != clients*smallBody || in.waiters != 0 || in.blocked != 0 || in.ending != 0 {
			t.Errorf("%d bytes free, %d wait, %d blocked, %d ending", in.free, in.waiters, in.blocked, in.ending)
		}
	})
}

// The requests that wait are bounded in number.
func TestIntakeWaiters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newIntake(smallBody)
		first := &received{in: in, begun: time.Now(), complete: true}
		if err := in.take(t.Context(), first, smallBody); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		take := func() error { return in.take(ctx, &received{in: in, begun: time.Now()}, 1) }
		var wg sync.WaitGroup
		for range intakeWaiters {
			wg.Go(func() {
				if err := take(); !errors.Is(err, context.Canceled) {
					t.Errorf("%v, want that the client left", err)
				}
			})
		}
		synctest.Wait()
		var shed *overload.Shed
		if err := take(); !errors.As(err, &shed) || shed.Reason != overload.QueueFull {
			t.Errorf("%v, want a full queue", err)
		}
		cancel()
		wg.Wait()
		if in.waiters != 0 {
			t.Errorf("%d wait after their clients left", in.waiters)
		}
	})
}
