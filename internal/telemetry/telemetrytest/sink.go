package telemetrytest

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Sink receives spans over OTLP/HTTP, as a Collector would, and drops the rest.
type Sink struct {
	mu    sync.Mutex
	spans map[string][]Exported // by trace id
}

// Exported is a span that arrived at a Sink.
type Exported struct {
	*otlp.Span
	Service string // service.name
}

// Main runs a package's tests with a Sink at the end of the standard OTLP
// endpoint, for programs configured by the environment. It is for
// TestMain, and returns the exit code.
func (s *Sink) Main(m *testing.M) int {
	server := httptest.NewServer(s)
	defer server.Close()
	os.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	return m.Run()
}

func (s *Sink) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var export collector.ExportTraceServiceRequest
	if err == nil && req.URL.Path == "/v1/traces" {
		err = proto.Unmarshal(body, &export)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spans == nil {
		s.spans = map[string][]Exported{}
	}
	for _, resource := range export.ResourceSpans {
		service := ""
		for _, a := range resource.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				id := hex.EncodeToString(span.TraceId)
				s.spans[id] = append(s.spans[id], Exported{span, service})
			}
		}
	}
}

// Trace returns the spans of a trace, in the order of their arrival.
func (s *Sink) Trace(id string) []Exported {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spans[id]
}
