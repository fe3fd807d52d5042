package telemetry

import (
	"context"
	"io"
	"net"
	"testing"

	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// traceReceiver is an OTLP/gRPC endpoint for traces.
type traceReceiver struct {
	coltrace.UnimplementedTraceServiceServer
	got chan *coltrace.ExportTraceServiceRequest
	key chan []string
}

func (r *traceReceiver) Export(ctx context.Context, m *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	r.got <- m
	r.key <- md.Get("api-key")
	return &coltrace.ExportTraceServiceResponse{}, nil
}

// Spans arrive over gRPC too, compressed and with the headers of their own variables.
func TestSpansOverGRPC(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rec := &traceReceiver{got: make(chan *coltrace.ExportTraceServiceRequest, 1), key: make(chan []string, 1)}
	srv := grpc.NewServer()
	coltrace.RegisterTraceServiceServer(srv, rec)
	go srv.Serve(l)
	defer srv.Stop()
	tel := setup(t, map[string]string{"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
		"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://" + l.Addr().String(),
		"OTEL_EXPORTER_OTLP_TRACES_HEADERS": "api-key=k", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}, io.Discard)
	_, span := tel.TracerProvider.Tracer("t").Start(t.Context(), "work")
	span.End()
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	m, key := <-rec.got, <-rec.key
	if s := m.ResourceSpans[0].ScopeSpans[0].Spans; len(s) != 1 || s[0].Name != "work" || len(key) != 1 || key[0] != "k" {
		t.Errorf("spans %v, header %q", s, key)
	}
}
