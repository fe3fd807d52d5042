package profiles

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

const run = "20260504T100000Z-0001"

// stored writes a profile with 5 samples, 3 of them of a route and one of a trace, and returns its name.
func stored(t *testing.T, folder, service string, start time.Time) string {
	t.Helper()
	f := func(id uint64, name string) *profile.Function { return &profile.Function{ID: id, Name: name} }
	handle, query := f(1, "shop.handle"), f(2, "shop.query")
	at := func(id uint64, fn *profile.Function) *profile.Location {
		return &profile.Location{ID: id, Address: id, Line: []profile.Line{{Function: fn, Line: 1}}}
	}
	outer, inner := at(1, handle), at(2, query)
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}, PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 1e7,
		Function: []*profile.Function{handle, query}, Location: []*profile.Location{outer, inner}, Sample: []*profile.Sample{
			{Location: []*profile.Location{outer}, Value: []int64{2, 2e7}},
			{Location: []*profile.Location{inner, outer}, Value: []int64{2, 2e7}, Label: map[string][]string{"route": {"GET /a/:id"}}},
			{Location: []*profile.Location{inner, outer}, Value: []int64{1, 1e7}, Label: map[string][]string{"route": {"GET /a/:id"}, "trace_id": {"abc"}}}}}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	name := "cpu-" + service + "-" + start.UTC().Format("20060102T150405.000Z") + "-10s.pb.gz"
	if err := os.MkdirAll(filepath.Join(folder, run), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, run, name), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestFiles(t *testing.T) {
	t.Parallel()
	folder, start := t.TempDir(), time.Date(2026, 5, 4, 10, 0, 0, 5e8, time.UTC)
	if list, err := At(filepath.Join(folder, "none"), "shop", start, start); err != nil || len(list) != 0 {
		t.Errorf("without runs: %v, %v", list, err)
	}
	name := stored(t, folder, "shop", start)
	stored(t, folder, "shop", start.Add(10*time.Second))
	stored(t, folder, "shop-2", start)
	for _, other := range []string{"report.json", "cpu-shop-x-10s.pb.gz", "cpu-shop-20260504T100000.500Z-10s.pb.gz.part"} {
		if err := os.WriteFile(filepath.Join(folder, run, other), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := List(folder, run); err != nil || len(list) != 3 || list[0].Service != "shop-2" && list[2].Service != "shop-2" {
		t.Errorf("List = %+v, %v", list, err)
	}
	for _, tt := range []struct {
		service  string
		from, to time.Duration
		want     int
	}{{"shop", time.Second, 2 * time.Second, 1}, {"shop", 9 * time.Second, 11 * time.Second, 2}, {"shop", -time.Second, -time.Millisecond, 0}, {"shop", 21 * time.Second, time.Minute, 0}, {"shop-2", 0, time.Second, 1}, {"other", 0, time.Minute, 0}} {
		if list, err := At(folder, tt.service, start.Add(tt.from), start.Add(tt.to)); err != nil || len(list) != tt.want {
			t.Errorf("At(%s, %s, %s) = %v, %v, want %d", tt.service, tt.from, tt.to, list, err, tt.want)
		}
	}
	f, ok := parse(run, name)
	if n, err := Count(folder, f, "ABC", "GET /a/:id"); !ok || err != nil || n != (Samples{5, 1, 3}) {
		t.Errorf("Count = %+v, %v", n, err)
	}
	if n, err := Count(folder, f, "", ""); err != nil || n != (Samples{5, 0, 0}) {
		t.Errorf("Count of all = %+v, %v", n, err)
	}
}

func TestViewer(t *testing.T) {
	home, folder := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("PPROF_TMPDIR", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	start := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	name := stored(t, folder, "shop", start)
	broken := strings.Replace(name, "shop", "broken", 1)
	if err := os.WriteFile(filepath.Join(folder, run, broken), []byte("no profile"), 0o644); err != nil {
		t.Fatal(err)
	}
	v := NewViewer(folder)
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		v.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Header().Get("Location") + w.Body.String()
	}
	at := "/" + run + "/" + name + "/"
	for path, want := range map[string]struct {
		code int
		text string
	}{
		at + "flamegraph":                     {200, "shop.query"},
		at + "top":                            {200, "shop.handle"},
		at + "peek":                           {200, "shop.query"},
		at + "top?tf=trace_id%3D%5Eabc%24":    {200, "20.00% of "},
		at:                                    {302, "flamegraph"},
		at + "source":                         {404, "no such page"}, // it would read files of this machine
		at + "disasm":                         {404, "no such page"},
		at + "saveconfig":                     {404, "no such page"},
		at + "deleteconfig":                   {404, "no such page"},
		"/" + run + "/report.json/flamegraph": {404, "no such profile"},
		"/../" + name + "/flamegraph":         {404, "no such profile"},
		"/./" + name + "/flamegraph":          {404, "no such profile"},
		"/" + run + "/" + broken + "/top":     {404, broken},
		"/" + run + "/" + strings.Replace(name, "shop", "none", 1) + "/top": {404, "no such file"},
		"/": {404, "no such page"},
	} {
		if code, body := get(path); code != want.code || !strings.Contains(body, want.text) {
			t.Errorf("%s = %d %.300s, want %d, %s", path, code, body, want.code, want.text)
		}
	}
	if code, body := get(at + "download"); code != 200 || body == "" {
		t.Errorf("download = %d", code)
	}
	// Few profiles are in memory, and the first one is read once more.
	for i := range maxOpen + 2 {
		other := stored(t, folder, "shop", start.Add(time.Duration(i)*time.Second))
		if code, _ := get("/" + run + "/" + other + "/top"); code != 200 || len(v.open) > maxOpen {
			t.Errorf("%s = %d, %d are open", other, code, len(v.open))
		}
	}
	if code, _ := get(at + "top"); code != 200 {
		t.Errorf("the first profile once more: %d", code)
	}
	if entries, err := os.ReadDir(home); err != nil || len(entries) > 0 { // pprof would store copies
		t.Errorf("in the home directory: %v, %v", entries, err)
	}
}
