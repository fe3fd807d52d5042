package server

import (
	"net/http"

	"soundcheck/loadgen/compare"
	"soundcheck/loadgen/report"
)

// compare responds with the result of loadgen compare: runs a
// (the baseline) and b, tolerance in percent.
func (rs *runs) compare(r *http.Request) (any, error) {
	v := values{Values: r.URL.Query()}
	v.only("a", "b", "tolerance")
	tolerance := v.number("tolerance", 5, 0, 100)
	for _, name := range []string{"a", "b"} {
		if v.Get(name) == "" {
			v.bad(name, "is missing: two runs are needed")
		}
	}
	if v.err != nil {
		return nil, v.err
	}
	// One at a time: it takes about a second of CPU, and two reports are large.
	if err := rs.turn(r); err != nil {
		return nil, err
	}
	defer rs.leave()
	var reports [2]*report.Report
	for i, name := range []string{"a", "b"} {
		report, err := rs.kept(v.Get(name))
		if err != nil {
			return nil, err
		}
		reports[i] = report
	}
	result, err := compare.Reports(reports[0], reports[1], float64(tolerance)/100)
	if err != nil {
		return nil, failure(http.StatusUnprocessableEntity, "runs not comparable: %v", err)
	}
	return map[string]any{"result": result, "summary": result.Summary()}, nil
}
