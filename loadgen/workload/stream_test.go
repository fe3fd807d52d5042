package workload

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"soundcheck/loadgen/schedule"
	"soundcheck/loadgen/targets"
)

// paths feeds n requests, and returns their paths.
func paths(t *testing.T, s *Stream, n int) (list []string) {
	t.Helper()
	source, err := Workload{Stream: s}.NewSource(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if more, _ := s.Feed(t.Context(), time.Now().Add(time.Minute)); !more {
			break
		}
		r, err := source.Request(uint64(i), schedule.Pick{Number: uint64(i)})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r.Path)
	}
	return list
}

func stream(t *testing.T, in string, set func(*Stream)) *Stream {
	t.Helper()
	s := NewStream("f", io.NopCloser(strings.NewReader(in)), targets.Options{})
	set(s)
	if err := s.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestStream(t *testing.T) {
	t.Parallel()
	const in = "GET http://a/0\nGET http://a/1\nGET http://a/2\n"
	for _, tt := range []struct {
		name  string
		set   func(*Stream)
		want  string
		ended bool
	}{
		{"repeated", func(*Stream) {}, "0 1 2 0 1 2 0 1", false},
		{"once", func(s *Stream) { s.Once = true }, "0 1 2", true},
		{"a shard", func(s *Stream) { s.Once, s.Shard, s.Shards = true, 1, 2 }, "1", true},
		{"a shard, repeated", func(s *Stream) { s.Shard, s.Shards = 0, 2 }, "0 2 0 2 0 2 0 2", false},
	} {
		s := stream(t, in, tt.set)
		got := strings.ReplaceAll(strings.Join(paths(t, s, 8), " "), "http://a/", "")
		if got != tt.want || s.Ended() != tt.ended || s.Err() != nil {
			t.Errorf("%s: %s, ended %t, %v, want %s", tt.name, got, s.Ended(), s.Err(), tt.want)
		}
	}
	// An invalid target ends it.
	s := stream(t, in+"x: y\n\nz\n", func(*Stream) {})
	if got := paths(t, s, 8); len(got) != 3 || !s.Ended() || s.Err() == nil || s.Err().Error() != `f:6: "z" is not a request, as in GET http://host/path` {
		t.Errorf("%v, %t, %v", got, s.Ended(), s.Err())
	}
	for in, want := range map[string]string{"": "f: no targets", "x": `f:1: "x" is not a request, as in GET http://host/path`} {
		s := NewStream("f", io.NopCloser(strings.NewReader(in)), targets.Options{})
		if err := s.Wait(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
}

// Targets are sent before the stream has ended.
func TestStreamIsNotReadToItsEnd(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	defer w.Close()
	s := NewStream("f", r, targets.Options{})
	defer s.Close()
	go fmt.Fprint(w, "GET http://a/0\n\n")
	if err := s.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := paths(t, s, 1); len(got) != 1 {
		t.Errorf("%v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if more, waited := s.Feed(ctx, time.Now().Add(time.Minute)); more || !waited {
		t.Errorf("more %t, waited %t after the end of the run", more, waited)
	}
	go fmt.Fprint(w, "GET http://a/1\n\n")
	if more, _ := s.Feed(t.Context(), time.Now().Add(time.Minute)); !more || s.Ended() {
		t.Error("the next target was not fed")
	}
}

// The targets of a long stream are not kept, and not repeated.
func TestLongStream(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	go func() {
		for range 110 {
			if _, err := io.WriteString(w, "GET http://a/\n"); err != nil {
				return
			}
		}
		w.Close()
	}()
	s := NewStream("f", r, targets.Options{})
	s.limit = 100
	defer s.Close()
	if err := s.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; ; n++ {
		if more, _ := s.Feed(t.Context(), time.Now().Add(time.Hour)); !more {
			break
		}
	}
	if n != 110 || len(s.repeat) != 0 || !s.Ended() || s.Err() != nil {
		t.Errorf("%d targets, %d kept, ended %t, %v", n, len(s.repeat), s.Ended(), s.Err())
	}
}

func TestExpectations(t *testing.T) {
	t.Parallel()
	e := Expectations{}
	for _, s := range []string{"2xx,404", "get=200", "create=201,5xx"} {
		if err := e.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		scenario string
		status   int
		want     bool
	}{{"list", 204, true}, {"list", 404, true}, {"list", 300, false}, {"list", 0, false}, {"get", 200, true}, {"get", 404, false}, {"create", 503, true}, {"create", 600, false}, {"create", 200, false}} {
		if got := e.of(tt.scenario).Has(tt.status); got != tt.want {
			t.Errorf("%s expects %d: %t", tt.scenario, tt.status, got)
		}
	}
	for in, want := range map[string]string{
		"":          `"" is not a status (100 to 599) or a class (1xx to 5xx), as in 200,204 or 2xx`,
		"99":        `"99" is not`,
		"600":       `"600" is not`,
		"6xx":       `"6xx" is not`,
		"+20":       `"+20" is not`,
		"200,":      `"" is not`,
		"200 204":   `"200 204" is not`,
		"b y=200":   `"b y" is not the name of a scenario`,
		"=200":      `"" is not the name of a scenario`,
		"get=200=1": `"200=1" is not`,
	} {
		if err := (Expectations{}).Add(in); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
	if err := e.Add("get=204"); err == nil {
		t.Error("a scenario twice")
	}
}
