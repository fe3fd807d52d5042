package service

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/albumhttp"
	"soundcheck/internal/cli/clitest"
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
	log, result := new(clitest.Output), make(chan error, 1)
	var over bool
	c := &Common{Addr: "127.0.0.1:0", MaxBody: albumhttp.DefaultMaxBody, DrainTimeout: 200 * time.Millisecond, FlushTimeout: time.Minute}
	go func() {
		result <- Run(ctx, "album-store", c, log, func(albumapi.Telemetry) (Backend, error) {
			return Backend{Service: h, Close: func(ctx context.Context) error {
				over = ctx.Err() != nil
				return nil
			}}, nil
		})
	}()
	go http.Get("http://" + log.Listening(t, 1)[0] + "/albums/1")
	<-h.entered
	stop()
	if err := <-result; err == nil || !strings.Contains(err.Error(), "requests in flight after the drain timeout of 200ms") {
		t.Errorf("Run() = %v", err)
	}
	if !over {
		t.Error("the backend begins to wait after the drain timeout")
	}
}

// The backend has its time after -drain-delay: a delay that is longer than the drain timeout takes nothing of it.
func TestDrainDelayIsBeforeDrainTimeout(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "true")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log, result := new(clitest.Output), make(chan error, 1)
	const delay, timeout = 300 * time.Millisecond, 250 * time.Millisecond
	closed := false
	var ends time.Time
	c := &Common{Addr: "127.0.0.1:0", MaxBody: albumhttp.DefaultMaxBody, DrainDelay: delay, DrainTimeout: timeout, FlushTimeout: time.Minute}
	go func() {
		result <- Run(ctx, "album-store", c, log, func(albumapi.Telemetry) (Backend, error) {
			return Backend{Service: album.NewMemory(), Close: func(ctx context.Context) error {
				closed = true
				ends, _ = ctx.Deadline()
				return nil
			}}, nil
		})
	}()
	log.Listening(t, 1)
	begun := time.Now()
	stop()
	err := <-result
	took := time.Since(begun)
	if err != nil {
		t.Errorf("Run() = %v", err)
	}
	if took < delay {
		t.Errorf("Run ends %s after the stop, want %s or more", took, delay)
	}
	if !closed {
		t.Error("the backend was not closed")
	}
	if got := ends.Sub(begun); got < delay+timeout {
		t.Errorf("the backend's time ends %s after the stop, want %s or more", got, delay+timeout)
	}
}
