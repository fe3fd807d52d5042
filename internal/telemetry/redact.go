package telemetry

import (
	"context"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"
)

// personal are attributes that the HTTP instrumentation sets and that tell who a
// caller is. They are taken out before a span leaves the process.
var personal = []attribute.Key{"client.address", "client.port", "network.peer.address", "network.peer.port", "enduser.id", "user.id"}

// redactor exports spans without personal attributes, and without what a caller searched
// for.
type redactor struct {
	trace.SpanExporter
	*patience
}

func (r redactor) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	redacted := make([]trace.ReadOnlySpan, len(spans))
	for i, s := range spans {
		redacted[i] = s
		if a := s.Attributes(); slices.ContainsFunc(a, func(kv attribute.KeyValue) bool { return isPersonal(kv) || hasQuery(kv) }) {
			redacted[i] = redactedSpan{s, redact(a)}
		}
	}
	return r.try(ctx, func(ctx context.Context) error { return r.SpanExporter.ExportSpans(ctx, redacted) })
}

func isPersonal(kv attribute.KeyValue) bool { return slices.Contains(personal, kv.Key) }

// hasQuery reports whether kv is a URL with a query, or a query.
func hasQuery(kv attribute.KeyValue) bool {
	return kv.Key == "url.query" || kv.Key == "url.full" && strings.Contains(kv.Value.AsString(), "?")
}

func redact(attributes []attribute.KeyValue) []attribute.KeyValue {
	attributes = slices.DeleteFunc(slices.Clone(attributes), isPersonal)
	for i, kv := range attributes {
		if !hasQuery(kv) {
			continue
		}
		url, query := "", kv.Value.AsString()
		if kv.Key == "url.full" {
			url, query, _ = strings.Cut(query, "?")
			url += "?"
		}
		attributes[i] = kv.Key.String(url + redactQuery(query))
	}
	return attributes
}

// redactQuery keeps a query's names, and the values that are numbers. The placeholder is
// that of the semantic conventions.
func redactQuery(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if ok && strings.Trim(value, "0123456789") != "" {
			pairs[i] = name + "=REDACTED"
		}
	}
	return strings.Join(pairs, "&")
}

type redactedSpan struct {
	trace.ReadOnlySpan
	attributes []attribute.KeyValue
}

func (s redactedSpan) Attributes() []attribute.KeyValue { return s.attributes }
