// Package workload says what is sent: made-up requests to an album service in the
// proportions of a mix, the requests of a file, or those that another run recorded.
//
// It knows nothing of when requests are sent, nor how.
package workload

import (
	"maps"
	"net/http"
	"slices"
)

// Scenario is one kind of request.
type Scenario struct {
	Name      string
	Operation string // span name; "": the method
	method    string
	path      string
	want      int // HTTP status that it expects
	// fill completes the request. It is called from many goroutines.
	fill func(*maker, *Request) error
}

// Sizes of requests.
const (
	pageSize  = 20 // albums that page asks for
	batchSize = 10 // albums that batch creates
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

// ownTarget is the scenario of requests that a file of targets says.
var ownTarget = &Scenario{Name: "target"}

// Lookup returns the scenario with a name, or nil.
func Lookup(name string) *Scenario {
	if name == ownTarget.Name {
		return ownTarget
	}
	return scenarios[name]
}

// Names returns the scenarios' names, in order.
func Names() []string { return slices.Sorted(maps.Keys(scenarios)) }
