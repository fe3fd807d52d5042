package verify

import (
	"regexp"
	"slices"

	"soundcheck/dashboards"
)

// noDatabase is why telemetry about a database is missing, with Options.InMemory.
const noDatabase = "the album store has no database: albums are in memory"

// ofDatabase matches the metrics of a database, and expressions about them or about the spans of
// statements.
var ofDatabase = regexp.MustCompile(`\b(db_client_operation|db_sql_connection|soundcheck_store_size)_\w+|service_name="album-store",span_kind="SPAN_KIND_CLIENT"`)

// optional returns why a metric may be missing; "" if it must exist.
func (s *session) optional(metric string) string {
	if s.InMemory && ofDatabase.MatchString(metric) {
		return noDatabase
	}
	return optionalMetrics[metric]
}

// mayBeEmpty returns why a panel may have no data; "" if it must have some.
func (s *session) mayBeEmpty(p dashboards.Panel) string {
	if s.InMemory && !slices.ContainsFunc(p.Targets, func(t dashboards.Target) bool { return !ofDatabase.MatchString(t.Expr) }) {
		return noDatabase
	}
	return p.MayBeEmpty
}
