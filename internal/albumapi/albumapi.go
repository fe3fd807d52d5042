// Package albumapi is what both sides of the album service's HTTP API share: JSON, problems and
// cursors; and Client, an album.Service that calls the API. It does not import the server, which
// is albumhttp.Handler: a program that is only a client compiles no web framework.
package albumapi

import (
	"log/slog"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Media types of bodies.
const (
	JSONType    = "application/json"
	NDJSONType  = "application/x-ndjson"
	ProblemType = "application/problem+json"
)

// Telemetry are the providers of a Client or a server. A nil one disables its signal.
type Telemetry struct {
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	Propagator     propagation.TextMapPropagator
	Logger         *slog.Logger
}
