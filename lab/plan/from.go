package plan

// From is where the lab gets its backends. Grafana cannot be built: with each of these it is
// an installed one, or else a release.
type From string

// Sources of the backends.
const (
	// Auto: installed programs, else what was built before, else releases if the network
	// responds at once, else builds.
	Auto From = "auto"
	// Releases: installed programs, else pinned releases. What has none is built.
	Releases From = "release"
	// Source: only builds.
	Source From = "source"
)
