package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"soundcheck/internal/e2e/services"
	"soundcheck/lab/build"
	"soundcheck/store/db/dbtest"
)

// filled is what datagen says in JSON.
type filled struct {
	Created      int
	AlreadyThere int `json:"already_there"`
	Rejected     int
	Retried      int
	Failed       int
	PerSecond    float64 `json:"albums_per_second"`
	Verified     struct{ Albums, Once, Twice, Others int }
}

// datagen is the built program.
type datagen struct{ path string }

func buildDatagen(t testing.TB) datagen {
	t.Helper()
	d := datagen{filepath.Join(t.TempDir(), "datagen")}
	// With the flags of the lab, whose build cache this shares.
	cmd := exec.Command("go", append(append([]string{"build"}, build.Flags...), "-o", d.path, "soundcheck/datagen")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build datagen: %v\n%s", err, out)
	}
	return d
}

func (d datagen) command(t testing.TB, s stack, args string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), d.path, append(strings.Fields(args), "-url", s.URL, "-format", "json")...)
	cmd.Env = append(os.Environ(), "OTEL_SDK_DISABLED=true")
	cmd.SysProcAttr = dbtest.DieWithParent(nil)
	cmd.Stderr = os.Stderr
	return cmd
}

func (d datagen) run(t testing.TB, s stack, args string) (f filled) {
	t.Helper()
	cmd := d.command(t, s, args)
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	if err := cmd.Run(); err != nil {
		t.Fatalf("datagen %s: %v\n%s", args, err, &stdout)
	}
	if err := json.Unmarshal(stdout.Bytes(), &f); err != nil {
		t.Fatalf("datagen %s: %v\n%s", args, err, &stdout)
	}
	return f
}

// databases returns the arguments of stores with each of the databases.
func databases(t *testing.T) map[string][]string {
	t.Helper()
	server, err := dbtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	return map[string][]string{
		"memory":   nil,
		"sqlite":   {"-db", "sqlite:" + filepath.Join(t.TempDir(), "albums.db")},
		"postgres": {"-db", server.New(t)},
	}
}

// Through the real proxy and store, with every database: one by one, in batches, later,
// from a file, with broken ones among them, and again.
func TestDatagen(t *testing.T) {
	d := buildDatagen(t)
	dir := t.TempDir()
	csv := filepath.Join(dir, "albums.csv.gz")
	if out, err := exec.Command(d.path, "-n", "500", "-seed", "2", "-o", csv).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, args := range databases(t) {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, 1, args, nil)
			others := 3 // the store's own
			for _, args := range []string{
				"-n 400 -unicode 0.5",
				"-from 1000 -n 2500 -batch 500",
				"-from 5000 -n 2500 -batch 500 -async",
				"-from 10000 -n 300 -invalid 0.3 -batch 50",
				"-i " + csv + " -batch 100",
			} {
				first := d.run(t, s, args+" -verify")
				created := first.Created + first.AlreadyThere // by a try that was cut off, if the machine is slow
				if first.Failed != 0 || first.Verified.Once != created || first.Verified.Others != others {
					t.Errorf("datagen %s: %+v, want all created and %d others", args, first, others)
				}
				again := d.run(t, s, args+" -verify")
				if again.Created+again.Failed != 0 || again.AlreadyThere != created || again.Rejected != first.Rejected || again.Verified != first.Verified {
					t.Errorf("datagen %s, again: %+v after %+v", args, again, first)
				}
				others += created
			}
		})
	}
}

// The store is killed twice while datagen runs, and then datagen is. Run once more, it
// ends with every album there exactly once.
func TestDatagenSurvives(t *testing.T) {
	const n = 20000
	d := buildDatagen(t)
	for name, args := range databases(t) {
		if args == nil {
			continue // memory forgets
		}
		t.Run(name, func(t *testing.T) {
			s := newStack(t, 1, args, nil)
			first := d.command(t, s, fmt.Sprintf("-n %d", n))
			if err := first.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = first.Process.Kill() })
			// Ids are given in order, but for some that a killed store may leave out.
			reaches := func(id int) {
				t.Helper()
				eventually(t, fmt.Sprintf("album %d", id), func() error {
					resp, err := http.Get(fmt.Sprintf("%s/albums/%d", s.URL, id))
					if err != nil {
						return err
					}
					resp.Body.Close()
					if resp.StatusCode == http.StatusNotFound {
						id++
					}
					if resp.StatusCode != http.StatusOK {
						return errors.New(resp.Status)
					}
					return nil
				})
			}
			for kill := range 2 {
				reaches(2000*(kill+1) + 1)
				s.stores[0].Kill()
				if err := s.stores[0].Start(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			reaches(6001)
			if err := first.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = first.Wait()
			f := d.run(t, s, fmt.Sprintf("-n %d -verify -concurrency 32", n))
			if f.Created+f.AlreadyThere != n || f.AlreadyThere < 5900 || f.Failed != 0 || f.Verified.Once != n || f.Verified.Others != 3 {
				t.Errorf("%+v, want each of %d albums once, and the store's own 3", f, n)
			}
			t.Logf("%+v", f)
		})
	}
}

// How many albums a second datagen creates through the proxy, and, to compare, in the
// store alone; and how much memory it takes to write few or many to a file.
func BenchmarkDatagen(b *testing.B) {
	d := buildDatagen(b)
	for _, args := range []string{"-n 100000 -batch 1000", "-n 5000"} {
		for _, proxy := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/proxy=%v", args, proxy), func(b *testing.B) {
				for b.Loop() {
					s := newStack(b, 1, nil, nil)
					url := s.URL
					if !proxy {
						url = s.stores[0].URL
					}
					b.ReportMetric(d.run(b, stack{Proxy: &services.Proxy{URL: url}}, args).PerSecond, "albums/s")
					s.Kill()
					s.stores[0].Kill()
				}
			})
		}
	}
	for _, n := range []int{10_000, 10_000_000} {
		b.Run(fmt.Sprintf("-n %d -o", n), func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command(d.path, "-n", fmt.Sprint(n), "-o", filepath.Join(b.TempDir(), "albums.ndjson"))
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
				b.ReportMetric(float64(n)/(cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()).Seconds(), "albums/cpu-s")
				b.ReportMetric(float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)/1024, "MB") // of Linux
			}
		})
	}
}
