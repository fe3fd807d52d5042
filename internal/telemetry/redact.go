package telemetry

import (
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// personal are attributes of the HTTP instrumentation that identify a client. They are removed before
// export.
var personal = []attribute.Key{"client.address", "client.port", "network.peer.address", "network.peer.port", "enduser.id", "user.id"}

func isPersonal(kv attribute.KeyValue) bool { return slices.Contains(personal, kv.Key) }

// hasQuery reports whether kv is a URL with a query, or a query.
func hasQuery(kv attribute.KeyValue) bool {
	return kv.Key == "url.query" || kv.Key == "url.full" && strings.Contains(kv.Value.AsString(), "?")
}

// redact returns attributes, or a changed copy.
func redact(attributes []attribute.KeyValue) []attribute.KeyValue {
	if !slices.ContainsFunc(attributes, func(kv attribute.KeyValue) bool { return isPersonal(kv) || hasQuery(kv) }) {
		return attributes
	}
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

// redactQuery retains names and numeric values of a query. The placeholder is that of the semantic
// conventions.
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
