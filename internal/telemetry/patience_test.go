package telemetry

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"syscall"
	"testing"

	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

// grpcReceiver is the receiver over gRPC.
type grpcReceiver struct {
	coltrace.UnimplementedTraceServiceServer
	*receiver
}

func (r grpcReceiver) Export(_ context.Context, m *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.traces = append(r.traces, m)
	return new(coltrace.ExportTraceServiceResponse), nil
}

// Nothing waits for a Collector. When it listens it is sent also what was made
// shortly before.
func TestCollectorAppears(t *testing.T) {
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		t.Run(protocol, func(t *testing.T) {
			addr := freePort(t)
			tel := setup(t, map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + addr,
				"OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
				"OTEL_BSP_SCHEDULE_DELAY":     "20",
			}, io.Discard)
			_, span := tel.TracerProvider.Tracer("t").Start(t.Context(), "before")
			span.End()
			refuse(t, addr)
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			rec := new(receiver)
			if protocol == "grpc" {
				srv := grpc.NewServer()
				coltrace.RegisterTraceServiceServer(srv, grpcReceiver{receiver: rec})
				go srv.Serve(l)
				defer srv.Stop()
			} else {
				srv := &http.Server{Handler: rec}
				go srv.Serve(l)
				defer srv.Close()
			}
			until(t, "the span of before at the receiver", func() bool { return slices.Contains(rec.spanNames(), "before") })
		})
	}
}

// refuse breaks the first connection to addr, which an export was to go over.
func refuse(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// The end of a program waits for nobody, and tells why.
func TestNobodyListens(t *testing.T) {
	tel := setup(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + freePort(t)}, io.Discard)
	_, span := tel.TracerProvider.Tracer("t").Start(t.Context(), "lost")
	span.End()
	err := tel.Shutdown(t.Context())
	if !errors.Is(err, syscall.ECONNREFUSED) || Hint(err) == "" {
		t.Errorf("Shutdown = %v, want a refused connection and a hint", err)
	}
}

func TestPatience(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		err   error
		calls int
	}{
		{"nobody listens", syscall.ECONNREFUSED, 3},
		{"no such name", &url.Error{Op: "Post", Err: &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}}, 3},
		{"no such address", &url.Error{Op: "Post", Err: &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}}, 3},
		{"its address is gone", &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.EHOSTUNREACH)}, 3},
		{"slow", &url.Error{Op: "Post", Err: context.DeadlineExceeded}, 1},
		{"somebody refuses", errors.New("400 Bad Request"), 1},
		{"delivered", nil, 1},
	} {
		p := newPatience()
		calls := 0
		err := p.try(t.Context(), func(context.Context) error {
			if calls++; calls == 3 {
				return nil
			}
			return tt.err
		})
		if calls != tt.calls || (err != nil) != (tt.calls == 1 && tt.err != nil) {
			t.Errorf("%s: %d calls, %v, want %d calls", tt.name, calls, err, tt.calls)
		}
	}
	over := newPatience()
	over.end()
	over.end()
	calls := 0
	if err := over.try(t.Context(), func(context.Context) error { calls++; return syscall.ECONNREFUSED }); err == nil || calls != 1 {
		t.Errorf("at the end: %d calls, %v, want one, refused", calls, err)
	}
}
