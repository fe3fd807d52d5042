package server

import (
	"net/http"

	"soundcheck/loadgen/compare"
	"soundcheck/loadgen/report"
)

// compare answers whether one run is slower than another, as loadgen compare does: runs a
// (the baseline) and b, tolerance in percent.
func (rs *runs) compare(w http.ResponseWriter, r *http.Request) {
	v := values{Values: r.URL.Query()}
	v.only("a", "b", "tolerance")
	tolerance := v.number("tolerance", 5, 0, 100)
	for _, name := range []string{"a", "b"} {
		if v.Get(name) == "" {
			v.bad(name, "is missing: give two runs")
		}
	}
	if v.err != nil {
		fail(w, http.StatusBadRequest, v.err.Error())
		return
	}
	// It takes a processor for a second or so, and two reports are large: not more than one.
	if !rs.turn(r) {
		return
	}
	defer rs.leave()
	var reports [2]*report.Report
	for i, name := range []string{"a", "b"} {
		id := rs.name(w, v.Get(name))
		if id == "" {
			return
		}
		report, err := rs.read(id)
		if err != nil {
			fail(w, http.StatusUnprocessableEntity, err.Error())
			return
		}
		reports[i] = report
	}
	result, err := compare.Reports(reports[0], reports[1], float64(tolerance)/100)
	if err != nil {
		fail(w, http.StatusUnprocessableEntity, "these two cannot be compared: "+err.Error())
		return
	}
	reply(w, http.StatusOK, map[string]any{"result": result, "summary": result.Summary()})
}
