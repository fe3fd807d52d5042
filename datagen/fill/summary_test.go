package fill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"soundcheck/internal/album"
	"soundcheck/internal/golden"
)

func TestKind(t *testing.T) {
	t.Parallel()
	reset := &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 51234}, Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{album.ErrExists, "an album with this id exists"},
		{album.ErrKeyReused, "this Idempotency-Key was used with another request: an earlier run sent this album in another request, with another -n, -batch, -async or -invalid; use the same flags, or another -seed or -from"},
		{&album.InvalidError{Fields: []album.FieldError{{Field: "price", Message: album.Required}}}, "invalid: price: required field"},
		{fmt.Errorf("%w: Post ...: context deadline exceeded", album.ErrTimeout), "album store timed out"},
		{fmt.Errorf("%w: %w", album.ErrUnavailable, reset), "album store unavailable: read: read: connection reset by peer"},
		{fmt.Errorf("%w: %w", album.ErrUnavailable, io.EOF), "album store unavailable: connection closed"},
		{fmt.Errorf("%w: responded 502 Bad Gateway, trace 4bf92f", album.ErrUnavailable), "album store unavailable: responded 502 Bad Gateway"},
	} {
		if got := kind(tt.err); got != tt.want {
			t.Errorf("kind(%v) = %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	s := &Summary{N: 1000, Created: 900, There: 2, Rejected: 3, Skipped: 4, Retried: 5, Unknown: 1, Elapsed: 2500 * time.Millisecond,
		Verified: &Verified{Albums: 900, Once: 897, Missing: 1, Changed: 1, Twice: 1, Others: 3, Examples: []Example{{7, "missing"}, {8, "twice"}}}}
	s.undone(20)
	s.undone(7)
	s.undone(9)
	for i := range 9 {
		s.fail(fmt.Errorf("%w: responded 502 Bad Gateway, trace %d", album.ErrUnavailable, i), 1, fmt.Sprintf("%032d", i+1))
	}
	for i := range maxErrors {
		s.fail(fmt.Errorf("kind %d", i), 10, "") // one more than is kept; their traces are not sampled
	}
	for path, write := range map[string]func(io.Writer) error{"testdata/summary.txt": s.Write, "testdata/summary.json": s.WriteJSON} {
		var got bytes.Buffer
		if err := write(&got); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, path, got.Bytes())
	}
	if err := s.Write(full{}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Write to a full disk = %v, want %v", err, syscall.ENOSPC)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestNoted(t *testing.T) {
	t.Parallel()
	for _, sampled := range []bool{true, false} {
		sampler := sdktrace.NeverSample()
		if sampled {
			sampler = sdktrace.AlwaysSample()
		}
		tracer := Noted(sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler))).Tracer("test")
		var n note
		_, span := tracer.Start(n.in(context.Background()), "create")
		want := ""
		if sampled {
			want = span.SpanContext().TraceID().String()
		}
		if n.traceID != want {
			t.Errorf("sampled %v: note of trace %q, want %q", sampled, n.traceID, want)
		}
		tracer.Start(context.Background(), "not a call of Run") // must not panic
	}
}
