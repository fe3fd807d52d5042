package attack

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// scenario is one kind of request, and the status that it expects.
type scenario struct {
	name      string
	operation string // span name
	method    string
	path      string
	want      int
	// fill completes the request. It is called from many goroutines.
	fill func(*maker, *draft) error
}

// Sizes of requests.
const (
	pageSize  = 20 // albums that page asks for
	batchSize = 10 // albums that batch creates
)

var scenarios = map[string]*scenario{}

func init() {
	for _, s := range []*scenario{
		{"list", "GET /albums", http.MethodGet, "/albums", http.StatusOK, nil},
		{"page", "GET /albums", http.MethodGet, "/albums", http.StatusOK, (*maker).page},
		{"get", "GET /albums/:id", http.MethodGet, "/albums/", http.StatusOK, (*maker).known},
		{"miss", "GET /albums/:id", http.MethodGet, "/albums/", http.StatusNotFound, (*maker).unknown},
		{"create", "POST /albums", http.MethodPost, "/albums", http.StatusCreated, (*maker).album},
		{"update", "PUT /albums/:id", http.MethodPut, "/albums/", http.StatusOK, (*maker).update},
		{"delete", "DELETE /albums/:id", http.MethodDelete, "/albums/", http.StatusNoContent, (*maker).mortal},
		{"batch", "POST /albums/batch", http.MethodPost, "/albums/batch", http.StatusCreated, (*maker).batch},
		{"stream", "GET /albums", http.MethodGet, "/albums", http.StatusOK, (*maker).stream},
		{"bad", "POST /albums", http.MethodPost, "/albums", http.StatusBadRequest, (*maker).bad},
	} {
		scenarios[s.name] = s
	}
}

// ownTarget is the scenario of requests that a file of targets says.
var ownTarget = &scenario{name: "target"}

// scenarioOf returns the scenario with a name, or nil.
func scenarioOf(name string) *scenario {
	if name == ownTarget.name {
		return ownTarget
	}
	return scenarios[name]
}

// draft is a request that is being made.
type draft struct {
	n      uint64 // of the whole plan
	method string
	path   string   // with the query, behind the service's URL; of own targets the whole URL
	url    *url.URL // the same, if it is known already
	header http.Header
	body   []byte
	want   int // status
}

// expects reports whether an answer is what a request of s that wants it gets: of a
// file's target any from 200 to 399.
func (s *scenario) expects(want, status int) bool {
	if s == ownTarget {
		return status >= 200 && status < 400
	}
	return status == want
}

// Names returns the scenarios' names, in order.
func Names() []string { return slices.Sorted(maps.Keys(scenarios)) }

// Mix is how often each scenario comes, as weights.
type Mix map[string]int

// ParseMix reads "get=70,list=20,create=10".
func ParseMix(s string) (Mix, error) {
	m, sum := Mix{}, 0
	names := strings.Join(Names(), ", ")
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

// unit returns a number from 0 to below 1 that follows from seed and n.
func unit(seed, n uint64) float64 { return float64(mix64(mix64(seed)^n)>>11) / (1 << 53) }
