// Package layout has no code. Its test keeps the imports of the module's packages in one
// direction.
package layout

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rules are which packages of this module a package may import, in files that are not
// tests. The first rule counts whose pattern fits; "x/..." fits x and what is in it. A
// test may run whatever it needs.
var rules = []struct {
	of  string
	may []string
}{
	// The load generator, from the top down. Where a room imports another, it is below it.
	{"loadgen", []string{"loadgen/...", "internal/...", "lab/kube"}},
	{"loadgen/options", []string{"loadgen/contract", "loadgen/engine", "loadgen/retry", "loadgen/flow", "loadgen/slo", "loadgen/workload", "loadgen/targets", "loadgen/schedule", "internal/cli"}},
	{"loadgen/view", []string{"loadgen/engine", "loadgen/measure", "internal/cli"}},
	// A distributed run. A worker sends nothing of its own: the Runner does, which is in loadgen.
	{"loadgen/kubernetes/kubetest", nil},
	{"loadgen/kubernetes", []string{"deploy/charts", "lab/kube", "internal/cli"}},
	{"loadgen/cluster/simulation", []string{"loadgen/cluster", "loadgen/report", "loadgen/measure", "loadgen/schedule", "internal/cli"}},
	{"loadgen/cluster", []string{"loadgen/report", "loadgen/slo", "loadgen/measure"}},
	{"loadgen/connect/connecttest", nil},
	{"loadgen/connect", []string{"internal/cli"}},
	{"loadgen/http1", []string{"loadgen/connect"}},
	{"loadgen/http2", []string{"loadgen/connect"}},
	{"loadgen/retry", []string{"loadgen/measure", "internal/httpheader"}},
	{"loadgen/failure", []string{"loadgen/connect", "loadgen/http2"}},
	{"loadgen/engine", []string{"loadgen/retry", "loadgen/failure", "loadgen/connect", "loadgen/http1", "loadgen/http2", "loadgen/report", "loadgen/slo", "loadgen/measure", "loadgen/workload", "loadgen/flow", "loadgen/targets", "loadgen/schedule"}},
	{"loadgen/remote", []string{"loadgen/engine", "loadgen/connect", "loadgen/retry", "loadgen/slo", "loadgen/workload", "loadgen/flow", "loadgen/schedule"}},
	{"loadgen/capacity", []string{"loadgen/report", "loadgen/slo", "loadgen/measure"}},
	{"loadgen/compare", []string{"loadgen/report", "loadgen/measure", "loadgen/schedule"}},
	{"loadgen/report", []string{"loadgen/slo", "loadgen/measure", "loadgen/explain", "loadgen/schedule"}},
	{"loadgen/slo", []string{"loadgen/measure"}},
	{"loadgen/measure", []string{"loadgen/explain"}},
	{"loadgen/explain", []string{"internal/criticalpath", "internal/jaegerapi"}},
	{"loadgen/targets", nil},
	{"loadgen/profiles", nil},
	{"loadgen/contract/values", nil},
	{"loadgen/contract/draft2020", nil},
	{"loadgen/contract", []string{"loadgen/contract/values", "loadgen/contract/draft2020"}},
	{"loadgen/flow", []string{"loadgen/targets"}},
	{"loadgen/workload", []string{"loadgen/contract", "loadgen/flow", "loadgen/targets", "loadgen/schedule", "internal/album", "internal/fakealbum", "internal/httpheader"}},
	{"loadgen/schedule", nil},

	// What two programs share knows none of them.
	{"internal/httpheader", nil},
	{"internal/optional", nil},
	{"internal/profiling", nil},
	{"internal/memo", nil},
	{"internal/httptelemetry", []string{"internal/memo"}},
	{"internal/jaegerapi", nil},
	{"internal/criticalpath", []string{"internal/jaegerapi"}},
	{"internal/album", []string{"internal/optional"}},
	{"internal/fault", []string{"internal/album", "internal/optional"}},
	{"internal/httpserver", []string{"internal/httpheader"}},
	// Overload protection and calls with retries are for any service.
	{"internal/overload", []string{"internal/cli", "internal/httpheader", "internal/optional"}},
	{"internal/upstream", []string{"internal/cli", "internal/httpheader", "internal/memo", "internal/optional"}},
	{"internal/telemetry", []string{"internal/telemetry/environment", "internal/telemetry/wire", "internal/version"}},
	{"internal/telemetry/environment", nil},
	// Clients of the API need no server.
	{"internal/albumapi", []string{"internal/album", "internal/cli", "internal/httpheader", "internal/upstream"}},
	{"internal/...", []string{"internal/..."}},

	{"store/db/lite", nil},
	{"store/db", []string{"internal/album", "internal/optional", "store/db/lite"}},
	{"store/...", []string{"store/...", "internal/..."}},
	{"proxy/...", []string{"internal/..."}},
	{"datagen/...", []string{"datagen/...", "internal/..."}},
	{"dashboards", nil},
	// The console shows runs, and sends none itself: it starts loadgen.
	{"console/metadata", nil},
	{"console/load", []string{"internal/cli", "lab/build", "lab/plan", "lab/proc", "lab/supervisor", "loadgen/report", "loadgen/flow", "loadgen/targets", "loadgen/contract"}},
	{"console/profiles", []string{"internal/profiling", "lab/proc"}},
	{"console/...", []string{"console/...", "dashboards", "lab/plan", "lab/supervisor", "loadgen/report", "loadgen/measure", "loadgen/compare", "internal/..."}},
	// What calls docker and kubectl knows nothing of a lab's checks.
	{"lab/command", nil},
	{"lab/kube", []string{"lab/command", "lab/proc"}},
	// What the doctor reads knows no lab.
	{"lab/probe", nil},
	{"lab/doctor/linux", nil},
	{"lab/doctor/metrics", nil},
	{"lab/doctor/otlp", []string{"internal/telemetry/environment"}},
	{"lab/doctor/text", nil},
	{"lab/...", []string{"lab/...", "dashboards", "loadgen/engine", "loadgen/report", "loadgen/measure", "internal/..."}},
	{"compose/...", []string{"compose/...", "lab/...", "internal/..."}},
	{"deploy/charts", nil},
	{"deploy/oci", []string{"compose/images"}},
	{"deploy/cluster", []string{"lab/proc", "internal/cli"}},
	{"deploy/cloud", []string{"deploy/cluster"}},
	{"deploy", []string{"deploy/...", "compose/images", "lab/build", "lab/proc", "internal/cli"}},
}

// databases are the packages of the store's databases: most of its build.
var (
	postgres  = []string{"github.com/jackc/...", "github.com/lib/pq", "github.com/riverqueue/river/riverdriver/riverdatabasesql/..."}
	databases = append([]string{"store/db", "store/db/lite", "database/sql", "github.com/XSAM/otelsql", "github.com/pressly/goose/...", "github.com/riverqueue/...", "modernc.org/..."}, postgres...)
)

// tagged are build tags of a package, and what it must not have below it with them.
var tagged = []struct {
	of, tags string
	below    []string
}{
	{"store", "nodatabase", databases}, // a lab that keeps albums in memory does not wait for them
	{"store", "nopostgres", postgres},  // nor the default lab, with SQLite, for these
}

// never are packages that another must not have below it, however far.
var never = []struct{ of, below string }{
	// Commands that are only clients. The server's web framework would double the CPU time of a
	// first "go run ./lab".
	{"lab", "github.com/gin-gonic/..."},
	{"loadgen", "github.com/gin-gonic/..."},
	{"datagen", "github.com/gin-gonic/..."},
	{"lab", "github.com/quic-go/..."},
	{"loadgen", "github.com/quic-go/..."},
	{"datagen", "github.com/quic-go/..."},
	{"console/...", "loadgen/engine"},
	{"loadgen/report", "loadgen/engine"},
	// Helpers of tests are in no program.
	{"store", "internal/cli/clitest"},
	{"proxy", "internal/service/servicetest"},
	{"loadgen", "loadgen/kubernetes/kubetest"},
	{"loadgen", "loadgen/connect/connecttest"},
}

const module = "soundcheck/"

// listed is a package as "go list -json" describes it.
type listed struct {
	ImportPath, Dir string
	GoFiles         []string
	Imports, Deps   []string
}

func fits(pattern, path string) bool {
	parent, ok := strings.CutSuffix(pattern, "/...")
	return path == parent || ok && strings.HasPrefix(path, parent+"/")
}

// violations are the imports that no rule allows, and packages that no rule is about.
func violations(packages []listed) (list []string) {
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module)
		i := slices.IndexFunc(rules, func(r struct {
			of  string
			may []string
		}) bool {
			return fits(r.of, name)
		})
		if i < 0 {
			list = append(list, name+": there is no rule for it")
			continue
		}
		for _, path := range p.Imports {
			to, ours := strings.CutPrefix(path, module)
			if ours && !slices.ContainsFunc(rules[i].may, func(pattern string) bool { return fits(pattern, to) }) {
				list = append(list, name+" imports "+to)
			}
		}
		for _, n := range never {
			if fits(n.of, name) && slices.ContainsFunc(p.Deps, func(dep string) bool { return fits(n.below, strings.TrimPrefix(dep, module)) }) {
				list = append(list, name+" has "+n.below+" below it")
			}
		}
	}
	return list
}

// list returns the packages of a pattern.
func list(t *testing.T, tags, pattern string) (packages []listed) {
	t.Helper()
	// So that "go test" does not take this result from its cache when a file or a folder is new.
	sources(t, func(string, []byte) {}, ".go")
	cmd := exec.Command("go", "list", "-tags="+tags, "-json=ImportPath,Dir,GoFiles,Imports,Deps", pattern)
	cmd.Dir, cmd.Stderr = filepath.Join("..", ".."), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	return packages
}

func TestImports(t *testing.T) {
	t.Parallel()
	packages := list(t, "", "./...")
	if len(packages) < 40 {
		t.Errorf("%d packages are listed: there are more", len(packages))
	}
	for _, v := range violations(packages) {
		t.Errorf("%s: see the rules in this file", v)
	}
}

// Build tags leave out what they are for, which the package has without them.
func TestTags(t *testing.T) {
	t.Parallel()
	for _, tt := range tagged {
		with, without := list(t, tt.tags, "./"+tt.of)[0].Deps, list(t, "", "./"+tt.of)[0].Deps
		for _, pattern := range tt.below {
			below := func(path string) bool { return fits(pattern, strings.TrimPrefix(path, module)) }
			if i := slices.IndexFunc(with, below); i >= 0 {
				t.Errorf("%s with the tags %s has %s below it", tt.of, tt.tags, with[i])
			}
			if !slices.ContainsFunc(without, below) {
				t.Errorf("%s has no %s below it without tags: remove it from the list", tt.of, pattern)
			}
		}
	}
}

func TestViolations(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, imports string
		below         []string
		want          []string
	}{
		{"loadgen/report", "loadgen/slo", nil, nil},
		{"loadgen/report", "loadgen/engine", []string{"loadgen/engine"}, []string{"loadgen/report imports loadgen/engine", "loadgen/report has loadgen/engine below it"}},
		{"loadgen/schedule", "loadgen/workload", nil, []string{"loadgen/schedule imports loadgen/workload"}},
		{"console/server", "loadgen/engine", nil, []string{"console/server imports loadgen/engine"}},
		{"console", "lab/plan", []string{"lab/plan", "loadgen/engine"}, []string{"console has loadgen/engine below it"}},
		{"lab", "lab/plan", []string{"lab/plan", "github.com/gin-gonic/gin/binding"}, []string{"lab has github.com/gin-gonic/... below it"}},
		{"internal/album", "store/db", nil, []string{"internal/album imports store/db"}},
		{"internal/cli", "lab", nil, []string{"internal/cli imports lab"}},
		{"storefront", "internal/cli", nil, []string{"storefront: there is no rule for it"}},
		{"store/db", "internal/album", nil, nil},
	} {
		p := listed{ImportPath: module + tt.name, Imports: []string{"fmt", module + tt.imports}}
		for _, b := range tt.below {
			if !strings.Contains(b, ".") {
				b = module + b
			}
			p.Deps = append(p.Deps, b)
		}
		if got := violations([]listed{p}); !slices.Equal(got, tt.want) {
			t.Errorf("%s imports %s: %q, want %q", tt.name, tt.imports, got, tt.want)
		}
	}
}

// link is a file that docs/contributing.md names, and what follows it in its row.
var link = regexp.MustCompile("\\[([a-z0-9/_]+\\.go)\\]\\(\\.\\./([^)]*)\\)((?:,? (?:and )?`[A-Za-z]+`)*)")

// The walks of docs/contributing.md name files and declarations that exist.
func TestContributing(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "contributing.md"))
	if err != nil {
		t.Fatal(err)
	}
	links := link.FindAllStringSubmatch(string(text), -1)
	if len(links) < 30 {
		t.Errorf("%d files are named, want 30 at least", len(links))
	}
	for _, m := range links {
		source, err := os.ReadFile(filepath.Join(root, m[2]))
		if err != nil || m[1] != m[2] {
			t.Errorf("%s links to %s: %v", m[1], m[2], err)
			continue
		}
		for _, name := range regexp.MustCompile("`[A-Za-z]+`").FindAllString(m[3], -1) {
			name = strings.Trim(name, "`")
			if !regexp.MustCompile(`(?m)^(func (\([^)]*\) )?|type )` + name + `\b`).Match(source) {
				t.Errorf("%s does not declare %s", m[1], name)
			}
		}
	}
}
