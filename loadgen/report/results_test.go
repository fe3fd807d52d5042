package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// someResults are requests at a rate, as those of a JSON API.
func someResults(n int, gap time.Duration) (list []*vegeta.Result) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		r := &vegeta.Result{Attack: "20260102T030405Z-ec5d", Seq: uint64(i), Code: 200, Timestamp: began.Add(time.Duration(i)*gap + time.Duration(1e5*rng.ExpFloat64())), Latency: time.Duration(2e5 + 1e6*rng.ExpFloat64()),
			BytesIn: 138, Method: "GET", URL: fmt.Sprintf("http://127.0.0.1:9070/albums/%d", rng.IntN(1000))}
		r.Headers = http.Header{"Content-Length": {"138"}, "Content-Type": {"application/json; charset=utf-8"}, "Date": {r.Timestamp.Format(http.TimeFormat)}}
		switch i % 1000 {
		case 7:
			r.Code, r.Headers, r.Error = 0, nil, `dial tcp 127.0.0.1:9070: connect: "connection", refused`+"\nby ü"
		case 8:
			r.Method, r.URL, r.BytesOut = "POST", `http://127.0.0.1:9070/albums?q=a,b"c"`, 77
		}
		list = append(list, r)
	}
	return list
}

// wantResults compares the raw results of a directory with those that were written.
func wantResults(t *testing.T, path string, want []*vegeta.Result) error {
	t.Helper()
	var b bytes.Buffer
	err := WriteResults(path, &b)
	dec := vegeta.DecoderFor(&b)
	for i, w := range want {
		var got vegeta.Result
		if err := dec.Decode(&got); err != nil || !got.Equal(*w) {
			t.Fatalf("result %d: %v, %+v, want %+v", i, err, got, *w)
		}
	}
	if e := dec.Decode(&vegeta.Result{}); e != io.EOF {
		t.Errorf("after %d results: %v", len(want), e)
	}
	return err
}

// vegeta reads each result as it was, in a few bytes at any rate.
func TestResults(t *testing.T) {
	t.Parallel()
	for _, gap := range []time.Duration{50 * time.Microsecond, time.Millisecond, 100 * time.Millisecond} {
		f, err := NewFolder(filepath.Join(t.TempDir(), "run"), true)
		if err != nil {
			t.Fatal(err)
		}
		list := someResults(20_000, gap)
		for _, r := range list {
			f.Add(r)
		}
		if err := f.Finish(&Report{}); err != nil {
			t.Fatal(err)
		}
		if err := wantResults(t, f.path, list); err != nil {
			t.Error(err)
		}
		info, err := os.Stat(filepath.Join(f.path, resultsFile))
		if err != nil {
			t.Fatal(err)
		}
		if each := float64(info.Size()) / float64(len(list)); each > 40 {
			t.Errorf("one each %s: %.1f bytes a request, want 40 at most", gap, each)
		}
	}
}

// The results of a killed process can be read, but for the last seconds.
func TestResultsOfKilledRun(t *testing.T) {
	t.Parallel()
	f, err := NewFolder(filepath.Join(t.TempDir(), "run"), true)
	if err != nil {
		t.Fatal(err)
	}
	list := someResults(60, 200*time.Millisecond)
	for _, r := range list {
		f.Add(r)
	}
	flushed := 0
	for i, last := 0, list[0].Timestamp; i < len(list); i++ {
		if list[i].Timestamp.Sub(last) >= flushEvery {
			flushed, last = i+1, list[i].Timestamp
		}
	}
	if flushed < 40 {
		t.Fatalf("%d results are written in 12 s", flushed)
	}
	if err := wantResults(t, f.path, list[:flushed]); err == nil || err.Error() != filepath.Join(f.path, resultsFile+partSuffix)+" is not complete: the run was killed" {
		t.Error(err)
	}
	if err := f.Discard(); err != nil {
		t.Error(err)
	}
	if err := WriteResults(f.path, io.Discard); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without results: %v", err)
	}
	if err := os.MkdirAll(f.path, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{oldResults: "vegeta encode -to csv ", resultsFile: "invalid input: magic number mismatch"} {
		file := filepath.Join(f.path, name)
		if err := os.WriteFile(file, []byte("not compressed"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := WriteResults(f.path, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %s: %v, want %s", name, err, want)
		}
		if _, err := NewFolder(f.path, true); err == nil || !strings.HasSuffix(err.Error(), "already contains a run") {
			t.Errorf("a second run beside %s: %v", name, err)
		}
		if err := os.Remove(file); err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkResults(b *testing.B) {
	list := someResults(100_000, time.Millisecond)
	f, err := NewFolder(filepath.Join(b.TempDir(), "run"), true)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		f.Add(list[i%len(list)])
	}
	if err := f.Finish(&Report{}); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(f.path, resultsFile))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/float64(b.N), "B/request")
}
