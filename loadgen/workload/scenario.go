// Package workload makes the requests of a run: generated requests to an album service in the
// proportions of a mix, the requests of a targets file, or those of a recording.
//
// It does not depend on when or how requests are sent.
package workload

import (
	"maps"
	"net/http"
	"slices"
)

// Scenario is a type of request.
type Scenario struct {
	Name      string
	Operation string // span name; "": the method
	method    string
	path      string
	want      int // expected HTTP status
	// fill completes the request. It is called from many goroutines.
	fill func(*maker, *Request) error
}

// Sizes of requests.
const (
	pageSize  = 20 // albums of a page request
	batchSize = 10 // albums of a batch request
)

var scenarios = map[string]*Scenario{}

func init() {
	for _, s := range []*Scenario{
		{"list", "GET /albums", http.MethodGet, "/albums", http.StatusOK, nil},
		{"page", "GET /albums", http.MethodGet, "/albums", http.StatusOK, (*maker).page},
		{"get", "GET /albums/:id", http.MethodGet, "/albums/", http.StatusOK, (*maker).known},
		{"miss", "GET /albums/:id", http.MethodGet, "/albums/", http.StatusNotFound, (*maker).unknown},
		{"create", "POST /albums", http.MethodPost, "/albums", http.StatusCreated, (*maker).album},
		{"update", "PUT /albums/:id", http.MethodPut, "/albums/", http.StatusOK, (*maker).update},
		{"delete", "DELETE /albums/:id", http.MethodDelete, "/albums/", http.StatusNoContent, (*maker).deletion},
		{"batch", "POST /albums/batch", http.MethodPost, "/albums/batch", http.StatusCreated, (*maker).batch},
		{"stream", "GET /albums", http.MethodGet, "/albums", http.StatusOK, (*maker).stream},
		{"bad", "POST /albums", http.MethodPost, "/albums", http.StatusBadRequest, (*maker).bad},
	} {
		scenarios[s.Name] = s
	}
}

// targetScenario is the scenario of requests from a targets file.
var targetScenario = &Scenario{Name: "target"}

// Lookup returns the scenario with a name, or nil.
func Lookup(name string) *Scenario {
	if name == targetScenario.Name {
		return targetScenario
	}
	return scenarios[name]
}

// Names returns the scenarios' names, in order.
func Names() []string { return slices.Sorted(maps.Keys(scenarios)) }
