// Package charts has the chart of a load test, for programs that install it without a checkout of the repository.
package charts

import "embed"

// Load is the chart, in the folder soundcheck-load.
//
//go:embed all:soundcheck-load
var Load embed.FS
