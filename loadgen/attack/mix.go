package attack

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/internal/album"
	"soundcheck/internal/fakealbum"
)

// scenario is one kind of request, and the status that it expects.
type scenario struct {
	name      string
	operation string // span name
	want      int
	method    string
}

var scenarios = map[string]*scenario{
	"list":   {"list", "GET /albums", http.StatusOK, http.MethodGet},
	"get":    {"get", "GET /albums/:id", http.StatusOK, http.MethodGet},
	"create": {"create", "POST /albums", http.StatusCreated, http.MethodPost},
}

// Mix is how often each scenario comes, as weights.
type Mix map[string]int

// ParseMix reads "get=70,list=20,create=10".
func ParseMix(s string) (Mix, error) {
	m, sum := Mix{}, 0
	names := strings.Join(slices.Sorted(maps.Keys(scenarios)), ", ")
	for part := range strings.SplitSeq(s, ",") {
		name, weight, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || scenarios[name] == nil {
			return nil, fmt.Errorf("%q is not scenario=weight with a scenario of %s", part, names)
		}
		n, err := strconv.Atoi(weight)
		if err != nil || n < 0 || n > 1000 {
			return nil, fmt.Errorf("the weight of %s must be a number from 0 to 1000", name)
		}
		if _, twice := m[name]; twice {
			return nil, fmt.Errorf("%s is named twice", name)
		}
		m[name] = n
		sum += n
	}
	if sum == 0 {
		return nil, fmt.Errorf("all weights are 0")
	}
	return m, nil
}

// order returns the scenarios of one round: each as often as its weight says, in
// a shuffled order, so that every round has the exact proportions.
func (m Mix) order(r rng) []*scenario {
	var list []*scenario
	for _, name := range slices.Sorted(maps.Keys(m)) {
		for range m[name] {
			list = append(list, scenarios[name])
		}
	}
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

type rng = *rand.Rand

func newRNG(seed, stream uint64) rng { return rand.New(rand.NewPCG(seed, stream)) }

// newAlbum is the body of a create: an album without an id asks for one.
type newAlbum struct {
	Title  string      `json:"title"`
	Artist string      `json:"artist"`
	Price  album.Cents `json:"price"`
}

// targeter makes the requests. vegeta calls it from many goroutines.
func targeter(c Config, ids *ids) vegeta.Targeter {
	order := c.Mix.order(newRNG(c.Seed, 2))
	var mu sync.Mutex
	var n, created int
	return func(t *vegeta.Target) error {
		mu.Lock()
		s := order[n%len(order)]
		n++
		i := created
		if s.name == "create" {
			created++
		}
		mu.Unlock()
		t.Method, t.URL = s.method, c.URL+"/albums"
		t.Header = http.Header{scenarioHeader: {s.name}}
		switch s.name {
		case "get":
			t.URL += "/" + strconv.FormatInt(ids.pick(), 10)
		case "create":
			a := fakealbum.New(c.Seed, uint64(i))
			var err error
			if t.Body, err = json.Marshal(newAlbum{a.Title, a.Artist, a.Price}); err != nil {
				return err
			}
			t.Header.Set("Content-Type", "application/json")
		}
		return nil
	}
}
