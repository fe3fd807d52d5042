// Package obtain gets the third-party programs of the native lab without building them:
// Program.Find takes one that the user has, Fetcher downloads an official release.
//
//	SOUNDCHECK_JAEGER, SOUNDCHECK_PROMETHEUS, SOUNDCHECK_OTELCOL_CONTRIB and
//	SOUNDCHECK_GRAFANA  absolute path of a program; without it, PATH is searched
//	SOUNDCHECK_MIRROR   URL of a folder with the archives, under the names that they have in
//	                    backends/releases.json, such as jaeger-2.17.0-linux-amd64.tar.gz
package obtain

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Program is a third-party program.
type Program struct {
	Name       string  // of the command, as on PATH
	Min, Below Version // a version fits if Min <= version < Below
	Needs      string  // why

	args   []string       // print the version
	prints *regexp.Regexp // the version in that output
	// A binary built from its Go module prints no version. The module's version is in the
	// build information; release returns the version of the release from it.
	module  string
	release func(Version) Version
	file    string // the program in an archive's folder
	folder  bool   // it needs the other files of that folder, too
}

// The programs that a lab can run without building them.
var (
	Jaeger = &Program{
		Name: "jaeger", Min: Version{2, 13, 0}, Below: Version{3, 0, 0},
		Needs: "backends/jaeger/config.yaml is written for 2.13: Badger storage, extension healthcheckv2",
		args:  []string{"version"}, prints: regexp.MustCompile(`"gitVersion":"v?(\d+\.\d+\.\d+)`),
		module: "github.com/jaegertracing/jaeger",
		// Both numbers are of one release: v1.76.0 is 2.13.0.
		release: func(v Version) Version {
			if v[0] == 1 && v[1] >= 63 {
				return Version{2, v[1] - 63, v[2]}
			}
			return v
		},
		file: "jaeger",
	}
	Prometheus = &Program{
		Name: "prometheus", Min: Version{3, 16, 0}, Below: Version{4, 0, 0},
		Needs: "rules and dashboards use anchored ranges",
		args:  []string{"--version"}, prints: regexp.MustCompile(`(?m)^prometheus, version v?(\d+\.\d+\.\d+)`),
		module: "github.com/prometheus/prometheus",
		// v0.316.0 is 3.16.0.
		release: func(v Version) Version {
			if v[0] == 0 {
				return Version{v[1] / 100, v[1] % 100, v[2]}
			}
			return v
		},
		file: "prometheus",
	}
	// Each minor version of the Collector can rename settings or remove them. Collector takes
	// the lab's own distribution, too; the core distribution lacks components.
	Collector = &Program{
		Name: "otelcol-contrib", Min: Version{0, 161, 0}, Below: Version{0, 162, 0},
		Needs: "collector/config.yaml is written for this minor version",
		args:  []string{"--version"}, prints: regexp.MustCompile(`(?m)^otelcol-(?:contrib|soundcheck) version v?(\d+\.\d+\.\d+)`),
		file: "otelcol-contrib",
	}
	Grafana = &Program{
		Name: "grafana", Min: Version{12, 0, 0}, Below: Version{13, 0, 0},
		Needs: "the dashboards are written for 12; 13 downloads its data sources when it starts",
		args:  []string{"-v"}, prints: regexp.MustCompile(`(?mi)^(?:grafana )?version v?(\d+\.\d+\.\d+)`),
		file: "bin/grafana", folder: true,
	}
)

// Programs are all of them.
func Programs() []*Program { return []*Program{Jaeger, Prometheus, Collector, Grafana} }

// Variable returns the name of the environment variable with the program's path.
func (p *Program) Variable() string {
	return "SOUNDCHECK_" + strings.ReplaceAll(strings.ToUpper(p.Name), "-", "_")
}

// fits returns an error if the lab's configuration is not for version v.
func (p *Program) fits(v Version) error {
	if slices.Compare(v[:], p.Min[:]) < 0 || slices.Compare(v[:], p.Below[:]) >= 0 {
		return fmt.Errorf("version %s, want %s or later, before %s: %s", v, p.Min, p.Below, p.Needs)
	}
	return nil
}

// Check returns an error if the lab's configuration is not for this version.
func (p *Program) Check(version string) error {
	v, ok := parseVersion(version)
	if !ok {
		return fmt.Errorf("%q is no version of %s", version, p.Name)
	}
	return p.fits(v)
}

// Product returns the version of the release that version of a Go module is: Jaeger v1.76.0 is 2.13.0.
func (p *Program) Product(module string) string {
	v, ok := parseVersion(module)
	switch {
	case !ok:
		return module
	case p.release != nil:
		v = p.release(v)
	}
	return v.String()
}

// Found is a program that is ready to run.
type Found struct {
	Name    string
	Path    string // absolute
	Home    string // Grafana only: the folder with conf and public
	Version string
	// Origin is the environment variable that has the path, PATH, or the name of the archive.
	Origin string
	// Release is true if the binary has the version of a release, and so web pages. Those
	// built from a Go module have none.
	Release bool
}

// Version is major, minor and patch.
type Version [3]int

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

var threeNumbers = regexp.MustCompile(`^v?(\d+)\.(\d+)\.(\d+)`)

// parseVersion reads a version such as v1.2.3 or 1.2.3-rc.1, whose suffix is dropped.
func parseVersion(s string) (v Version, ok bool) {
	m := threeNumbers.FindStringSubmatch(s)
	if m == nil {
		return v, false
	}
	for i := range v {
		n, err := strconv.Atoi(m[i+1])
		if err != nil {
			return v, false
		}
		v[i] = n
	}
	return v, true
}
