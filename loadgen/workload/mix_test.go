package workload

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"soundcheck/internal/album"
	"soundcheck/internal/fakealbum"
)

func TestParseMix(t *testing.T) {
	t.Parallel()
	got, err := ParseMix("list=20, get=70,create=10")
	if want := (Mix{"list": 20, "get": 70, "create": 10}); err != nil || !maps.Equal(got, want) {
		t.Errorf("ParseMix = %v, %v, want %v", got, err, want)
	}
	for _, tt := range []struct{ in, want string }{
		{"", `"" is not scenario=weight; scenarios: bad, batch, create, delete, get, list, miss, page, stream, update`},
		{"get", `"get" is not scenario=weight; scenarios: bad, batch, create, delete, get, list, miss, page, stream, update`},
		{"fetch=1", `"fetch=1" is not scenario=weight; scenarios: bad, batch, create, delete, get, list, miss, page, stream, update`},
		{"get=1,", `"" is not scenario=weight; scenarios: bad, batch, create, delete, get, list, miss, page, stream, update`},
		{"get=-1", "the weight of get is out of range: 0 to 1000"},
		{"get=1001", "the weight of get is out of range: 0 to 1000"},
		{"get=1.5", "the weight of get is out of range: 0 to 1000"},
		{"get=1,get=2", "duplicate scenario get"},
		{"get=0,list=0", "all weights are 0"},
	} {
		if _, err := ParseMix(tt.in); err == nil || err.Error() != tt.want {
			t.Errorf("ParseMix(%q) = %v, want %s", tt.in, err, tt.want)
		}
	}
}

func FuzzParseMix(f *testing.F) {
	for _, s := range []string{"get=70,list=20,create=10", "get=1,get=1", "=,=", "get=99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMix(s)
		if err != nil {
			return
		}
		if n := len(m.order(rand.New(rand.NewPCG(1, 1)))); n < 1 || n > 1000*len(scenarios) {
			t.Errorf("ParseMix(%q) = %v, a round of %d requests", s, m, n)
		}
	})
}

// requests returns requests of a maker, and their scenarios.
func requests(t *testing.T, mix Mix, seed, n uint64) (scenarios, requests []string) {
	t.Helper()
	m := newMaker(mix, seed)
	for i := range n {
		r, err := m.make(i)
		if err != nil {
			t.Fatal(err)
		}
		scenarios = append(scenarios, r.Scenario.Name)
		requests = append(requests, fmt.Sprintf("%s %s %s", r.Method, r.Path, r.Body))
	}
	return scenarios, requests
}

func TestMaker(t *testing.T) {
	t.Parallel()
	mix := Mix{"list": 2, "get": 7, "create": 1}
	names, got := requests(t, mix, 3, 100)
	if _, again := requests(t, mix, 3, 100); !slices.Equal(got, again) {
		t.Error("the same seed gives other requests")
	}
	if _, other := requests(t, mix, 4, 100); slices.Equal(got, other) {
		t.Error("another seed gives the same requests")
	}
	counts := map[string]int{}
	for i, request := range got {
		switch counts[names[i]]++; names[i] {
		case "list":
			if request != "GET /albums " {
				t.Errorf("list is %q", request)
			}
		case "get":
			if !slices.Contains([]string{"GET /albums/1 ", "GET /albums/2 ", "GET /albums/3 "}, request) {
				t.Errorf("get is %q, want one of the seeded albums", request)
			}
		case "create":
			body, ok := strings.CutPrefix(request, "POST /albums ")
			var a album.Album
			if err := json.Unmarshal([]byte(body), &a); !ok || err != nil || a != fakealbum.New(^uint64(3), uint64(i*batchSize)) {
				t.Errorf("request %d is %q, %v, want album %+v", i, request, err, fakealbum.New(^uint64(3), uint64(i*batchSize)))
			}
			if strings.Contains(body, `"id"`) {
				t.Errorf("create is %q, want no id", request)
			}
		}
	}
	if want := (map[string]int{"list": 20, "get": 70, "create": 10}); !maps.Equal(counts, want) {
		t.Errorf("scenarios %v, want exactly %v", counts, want)
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	s := newIDs(nil)
	for _, location := range []string{"", "/albums/", "/albums/x", "/albums/99999999999999999999"} {
		s.add(location)
	}
	s.add("/albums/44")
	s.add("http://127.0.0.1:9070/albums/45")
	if want := []int64{1, 2, 3, 44, 45}; !slices.Equal(s.list, want) {
		t.Errorf("ids %v, want %v", s.list, want)
	}
	for i := range maxIDs {
		s.add(fmt.Sprintf("/albums/%d", 1000+i))
	}
	if slices.Min(s.list) != 1000 || len(s.list) != maxIDs {
		t.Errorf("%d ids from %d on, want the last %d", len(s.list), slices.Min(s.list), maxIDs)
	}
	if id := s.pick(0.5); id < 1000 {
		t.Errorf("picked %d, want one of the last %d", id, maxIDs)
	}
}

// Albums are requested by Zipf's law, and each one at least once.
func TestPopularity(t *testing.T) {
	t.Parallel()
	s := newIDs(nil)
	s.list = nil
	for i := range int64(1000) {
		s.list = append(s.list, i)
	}
	const n = 100_000
	counts := make([]int, 1000)
	for i := range uint64(n) {
		counts[s.pick(unit(1, i))]++
	}
	for k, c := range counts[:5] {
		want := n * math.Log(float64(k+2)/float64(k+1)) / math.Log(1001)
		if math.Abs(float64(c)-want) > 5*math.Sqrt(want) {
			t.Errorf("album %d was requested %d times, want about %.0f", k, c, want)
		}
	}
	if slices.Min(counts) == 0 {
		t.Error("an album was never requested")
	}
}

// Albums reserved for deletes are not requested, and deleted once.
func TestReservedForDelete(t *testing.T) {
	t.Parallel()
	s := newIDs(Mix{"delete": 1})
	for i := range 10 {
		s.add(fmt.Sprintf("/albums/%d", 100+i))
	}
	var taken []int64
	for id, ok := s.take(); ok; id, ok = s.take() {
		taken = append(taken, id)
	}
	if want := []int64{100, 102, 104, 106, 108}; !slices.Equal(taken, want) {
		t.Errorf("deleted %v, want %v", taken, want)
	}
	if want := []int64{1, 2, 3, 101, 103, 105, 107, 109}; !slices.Equal(s.list, want) {
		t.Errorf("requested %v, want %v", s.list, want)
	}
}
