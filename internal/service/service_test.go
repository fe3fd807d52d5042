package service

import (
	"bytes"
	"context"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
)

// The deadlines of a shutdown are relative to its start, however late they are computed.
func TestEnding(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		e := newEnding(ctx)
		time.Sleep(time.Hour)
		begun := time.Now()
		cancel()
		synctest.Wait()
		time.Sleep(10 * time.Second)
		if got := e.after(15 * time.Second); !got.Equal(begun.Add(15 * time.Second)) {
			t.Errorf("%s after the begin, want 15s", got.Sub(begun))
		}
	})
}

// lines is a log for concurrent reads and writes.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) find(re *regexp.Regexp) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := re.FindStringSubmatch(l.b.String()); m != nil {
		return m[1]
	}
	return ""
}

// hanging is a service whose Get does not end before the test does.
type hanging struct {
	album.Service
	entered chan struct{}
	release chan struct{}
}

func (h hanging) Get(context.Context, int64) (album.Album, error) {
	close(h.entered)
	<-h.release
	return album.Album{}, album.ErrNotFound
}

// Requests that take the whole drain timeout leave nothing of it to the backend: what comes
// after them does not begin to wait anew.
func TestShutdownHasOneDeadline(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "true")
	h := hanging{album.NewMemory(), make(chan struct{}), make(chan struct{})}
	defer close(h.release)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log, result := new(lines), make(chan error, 1)
	var over bool
	c := &Common{Addr: "127.0.0.1:0", MaxBody: albumhttp.DefaultMaxBody, DrainTimeout: 200 * time.Millisecond, FlushTimeout: time.Minute}
	go func() {
		result <- Run(ctx, "album-store", c, log, func(albumhttp.Telemetry) (Backend, error) {
			return Backend{Service: h, Close: func(ctx context.Context) error {
				over = ctx.Err() != nil
				return nil
			}}, nil
		})
	}()
	var addr string
	listening := regexp.MustCompile(`"msg":"listening".*"address":"([^"]+)"`)
	for deadline := time.Now().Add(time.Minute); addr == ""; time.Sleep(time.Millisecond) {
		if addr = log.find(listening); time.Now().After(deadline) {
			t.Fatal("it does not listen")
		}
	}
	go http.Get("http://" + addr + "/albums/1")
	<-h.entered
	stop()
	if err := <-result; err == nil || !strings.Contains(err.Error(), "requests in flight after the drain timeout of 200ms") {
		t.Errorf("Run() = %v", err)
	}
	if !over {
		t.Error("the backend begins to wait after the drain timeout")
	}
}
