package workload

import (
	"net/http"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"soundcheck/loadgen/contract"
	"soundcheck/loadgen/flow"
	"soundcheck/loadgen/targets"
)

// Remote is what a worker of a distributed run must know of a Workload, in JSON.
type Remote struct {
	Mix         Mix             `json:"mix"`
	Targets     []vegeta.Target `json:"targets"`
	Data        *targets.Data   `json:"data"`
	Header      http.Header     `json:"header"`
	Expect      Expectations    `json:"expect"`
	EachOnce    bool            `json:"each_once"`
	OpenAPI     []byte          `json:"openapi,omitempty"` // the document
	OpenAPIFile string          `json:"openapi_file,omitempty"`
	Invalid     float64         `json:"invalid,omitempty"`
	Flow        *flow.Source    `json:"flow,omitempty"`
}

// Remote returns what workers must know.
func (w Workload) Remote() Remote {
	r := Remote{Mix: w.Mix, Targets: w.Targets, Data: w.Data, Header: w.Header, Expect: w.Expect, EachOnce: w.EachOnce, Invalid: w.Invalid}
	if w.Contract != nil {
		r.OpenAPI, r.OpenAPIFile = w.Contract.Source, w.Contract.Name
	}
	if w.Flow != nil {
		r.Flow = w.Flow.Source
	}
	return r
}

// Workload is the inverse of Workload.Remote.
func (r Remote) Workload() (w Workload, err error) {
	w = Workload{Mix: r.Mix, Targets: r.Targets, Data: r.Data, Header: r.Header, Expect: r.Expect, EachOnce: r.EachOnce, Invalid: r.Invalid}
	if len(r.OpenAPI) > 0 {
		w.Contract, err = contract.Parse(r.OpenAPIFile, r.OpenAPI)
	}
	if r.Flow != nil {
		w.Flow, err = r.Flow.Flow()
	}
	return w, err
}
