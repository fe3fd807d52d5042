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
	Template  string // of the path, as in /albums/{id}; "": unknown
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
		{Name: "list", Operation: "GET /albums", method: http.MethodGet, path: "/albums", want: http.StatusOK},
		{Name: "page", Operation: "GET /albums", method: http.MethodGet, path: "/albums", want: http.StatusOK, fill: (*maker).page},
		{Name: "get", Operation: "GET /albums/:id", method: http.MethodGet, path: "/albums/", want: http.StatusOK, fill: (*maker).known},
		{Name: "miss", Operation: "GET /albums/:id", method: http.MethodGet, path: "/albums/", want: http.StatusNotFound, fill: (*maker).unknown},
		{Name: "create", Operation: "POST /albums", method: http.MethodPost, path: "/albums", want: http.StatusCreated, fill: (*maker).album},
		{Name: "update", Operation: "PUT /albums/:id", method: http.MethodPut, path: "/albums/", want: http.StatusOK, fill: (*maker).update},
		{Name: "delete", Operation: "DELETE /albums/:id", method: http.MethodDelete, path: "/albums/", want: http.StatusNoContent, fill: (*maker).deletion},
		{Name: "batch", Operation: "POST /albums/batch", method: http.MethodPost, path: "/albums/batch", want: http.StatusCreated, fill: (*maker).batch},
		{Name: "stream", Operation: "GET /albums", method: http.MethodGet, path: "/albums", want: http.StatusOK, fill: (*maker).stream},
		{Name: "bad", Operation: "POST /albums", method: http.MethodPost, path: "/albums", want: http.StatusBadRequest, fill: (*maker).bad},
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
