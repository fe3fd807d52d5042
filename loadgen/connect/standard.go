package connect

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// Standard sends with net/http.
type Standard struct{ http.RoundTripper }

// Send sends a request and returns the response. The deadline includes the response body.
func (s Standard) Send(ctx context.Context, req *http.Request, deadline time.Time, tm *Times) (*http.Response, error) {
	start := time.Now()
	ctx, cancel := context.WithDeadline(ctx, deadline)
	// The hooks may run after RoundTrip has returned an error, in another goroutine.
	var connected, firstByte atomic.Int64
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { connected.Store(int64(time.Since(start))) },
		GotFirstResponseByte: func() { firstByte.Store(int64(time.Since(start))) },
	})
	resp, err := s.RoundTrip(req.WithContext(ctx))
	tm.Connected, tm.FirstByte = time.Duration(connected.Load()), time.Duration(firstByte.Load())
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &cancelBody{resp.Body, cancel}
	return resp, nil
}

type cancelBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *cancelBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
