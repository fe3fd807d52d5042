package layout

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/gin-gonic/gin/binding"
	"github.com/gin-gonic/gin/render"
)

// standins are the modules in internal/standin: small replacements for modules that Gin links and
// no program calls.
var standins = []struct {
	dir, module string
	packages    []string // of the module: those that Gin imports
	gone        []string // what the services had below them with the real module
}{
	{"quic-go", "github.com/quic-go/quic-go", []string{"/http3"},
		[]string{"github.com/quic-go/qpack", "golang.org/x/crypto/...", "golang.org/x/net/ipv4", "golang.org/x/net/ipv6"}},
	{"mongo-driver", "go.mongodb.org/mongo-driver/v2", []string{"/bson"}, nil},
	{"validator", "github.com/go-playground/validator/v10", []string{""},
		[]string{"github.com/go-playground/locales/...", "github.com/go-playground/universal-translator", "github.com/leodido/...",
			"github.com/gabriel-vasile/..."}},
}

// The services have the stand-ins below them and nothing of the modules that these replace.
func TestStandIns(t *testing.T) {
	t.Parallel()
	dirs, err := os.ReadDir("../standin")
	if err != nil || len(dirs) != len(standins) {
		t.Errorf("internal/standin has %d modules, the test has %d: %v", len(dirs), len(standins), err)
	}
	services := append(list(t, "", "./store"), list(t, "", "./proxy")...)
	for _, s := range standins {
		cmd := exec.Command("go", "list", "-m", "-f={{with .Replace}}{{.Path}}{{end}}", s.module)
		cmd.Dir, cmd.Stderr = filepath.Join("..", ".."), os.Stderr
		out, err := cmd.Output()
		if got, want := strings.TrimSpace(string(out)), "./internal/standin/"+s.dir; err != nil || got != want {
			t.Errorf("go.mod replaces %s by %q, want %q: %v", s.module, got, want, err)
		}
		for _, p := range services {
			for _, name := range s.packages {
				if !slices.Contains(p.Deps, s.module+name) {
					t.Errorf("%s has no %s%s below it: remove the stand-in", p.ImportPath, s.module, name)
				}
			}
			if i := slices.IndexFunc(p.Deps, func(dep string) bool {
				name, of := strings.CutPrefix(dep, s.module)
				return of && !slices.Contains(s.packages, name) || slices.ContainsFunc(s.gone, func(g string) bool { return fits(g, dep) })
			}); i >= 0 {
				t.Errorf("%s has %s below it: %s is not replaced, or something else imports it", p.ImportPath, p.Deps[i], s.module)
			}
		}
	}
}

// What a stand-in replaces fails with an error that names the module.
func TestStandInsFail(t *testing.T) {
	t.Parallel()
	gin.SetMode(gin.TestMode)
	type album struct{ Title string }
	for name, tt := range map[string]struct {
		call   func() error
		module string
	}{
		"QUIC":        {func() error { return gin.New().RunQUIC("127.0.0.1:0", "no.crt", "no.key") }, "github.com/quic-go/quic-go"},
		"BSON body":   {func() error { return binding.BSON.BindBody(nil, &album{}) }, "go.mongodb.org/mongo-driver/v2"},
		"BSON render": {func() error { return render.BSON{Data: album{}}.Render(httptest.NewRecorder()) }, "go.mongodb.org/mongo-driver/v2"},
		"JSON body":   {func() error { return binding.JSON.BindBody([]byte(`{"Title":"a"}`), &album{}) }, "github.com/go-playground/validator/v10"},
		"query":       {func() error { return binding.Query.Bind(httptest.NewRequest("GET", "/?Title=a", nil), &album{}) }, "github.com/go-playground/validator/v10"},
	} {
		if err := tt.call(); err == nil || !strings.Contains(err.Error(), "without "+tt.module) {
			t.Errorf("%s: %v, want an error that names %s", name, err, tt.module)
		}
	}
}
