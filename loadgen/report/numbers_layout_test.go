package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"soundcheck/loadgen/measure"
)

func (c *numberCheck) head(classes bool) {
	c.t.Helper()
	if !c.open() {
		c.count("workers")
	}
	if c.j.text("limit") != "" {
		c.count("max_requests")
	}
	if c.j.number("warm_up") > 0 {
		c.count("warm_up")
		c.duration("warm_up_time")
	}
	c.count("sent")
	if c.open() {
		c.count("planned")
	}
	c.duration("elapsed")
	if c.j.number("cancelled") > 0 {
		c.count("cancelled")
	}
	if c.open() {
		c.rate("rate_target")
	}
	c.rate("rate_actual")
	c.rate("goodput")
	if received, sent := c.j.number("bytes_received"), c.j.number("bytes_sent"); received+sent > 0 {
		c.size("bytes received", received)
		c.size("bytes received per second", received/(c.j.number("elapsed")-c.j.number("warm_up_time")))
		c.size("bytes sent", sent)
	}
	if protocols := c.j.object("protocols"); len(protocols) > 1 {
		for _, name := range slices.Sorted(maps.Keys(protocols)) {
			c.is("responses of "+name, protocols[name].(float64), "")
		}
	}
	if c.j.number("connections_opened") > 0 {
		c.count("connections_opened")
		for _, name := range []string{"connect_time", "tls_time", "dns_time"} {
			if c.j.number(name+".count") > 0 {
				c.milli(name + ".p50")
				c.milli(name + ".max")
			}
		}
	}
	for _, k := range c.classes() {
		if classes {
			c.count("classes." + string(k))
			c.share(k)
			if k == measure.Shed {
				c.promises()
			}
		}
	}
	if c.j.text("retries.policy") != "" {
		c.count("retries.requests")
		c.count("retries.retry_attempts")
		c.count("retries.served")
	}
}

// size compares a number of bytes, in the largest unit that fits.
func (c *numberCheck) size(what string, bytes float64) {
	c.t.Helper()
	for bytes >= 1000 {
		bytes /= 1000
	}
	c.is(what, bytes, "")
}

func (c *numberCheck) generator() {
	c.t.Helper()
	c.count("in_flight_peak")
	c.count("gc.pauses")
	c.milli("gc.longest")
}

func (c *numberCheck) times() {
	c.t.Helper()
	row := func(what string, s object) {
		c.t.Helper()
		c.is("count of "+what, s.number("count"), "")
		for _, p := range []string{"p50", "p90", "p99", "p999", "max"} {
			if s.number("count") > 0 {
				c.is(p+" of "+what, 1000*s.number(p), "ms")
			}
		}
	}
	for _, s := range c.j.list("scenarios") {
		row(s.text("name"), s.object("response_time"))
	}
	for _, name := range []string{"response_time", "shed_response_time", "failed_response_time", "status_response_time", "service_time", "first_byte_time", "body_time", "send_delay"} {
		s := c.j.object(name)
		if name == "status_response_time" {
			if codes := slices.Sorted(maps.Keys(s)); len(codes) > 1 {
				for _, code := range codes {
					row(name+" "+code, s.object(code))
				}
			}
			continue
		}
		optional := name == "shed_response_time" || name == "failed_response_time" || name == "first_byte_time" || name == "body_time"
		if !(optional && s.number("count") == 0) && (name != "send_delay" || c.open()) {
			row(name, s)
		}
	}
}

// histogram compares the counts of the bands with the histogram, whose times are within 0.1%.
func (c *numberCheck) histogram(h *measure.Times) {
	c.t.Helper()
	total, sum, end, bars := h.Count(), int64(0), 0.0, barsOf(h)
	for sum < total {
		unit := ""
		if c.format == ".txt" || c.format == ".md" {
			unit = "ms"
		}
		from, _ := c.next("lower bound", "")
		to, _ := c.next("upper bound", unit)
		if from >= to || end > 0 && from != end {
			c.t.Errorf("%s: a band from %v to %v after one to %v", c.format, from, to, end)
		}
		end = to
		count := above(bars, time.Duration(0.9985e6*from)) - above(bars, time.Duration(1.0015e6*to))
		n, _ := c.next("requests of a band", "")
		sum += int64(n)
		if int64(n) > count {
			c.t.Errorf("%s: %v requests from %v to %v ms, in report.json at most %d", c.format, n, from, to, count)
		}
		c.is("share of a band", 100*n/float64(total), "%")
		c.is("cumulative share", 100*float64(sum)/float64(total), "%")
	}
}

func (c *numberCheck) statuses() {
	c.t.Helper()
	for _, s := range c.j.list("scenarios") {
		if c.format != ".txt" {
			c.is("requests of "+s.text("name"), s.number("requests"), "")
		}
		codes := s.object("statuses")
		var sorted []float64
		for code := range codes {
			v, _ := strconv.ParseFloat(code, 64)
			sorted = append(sorted, v)
		}
		slices.Sort(sorted)
		for _, code := range sorted {
			if code != 0 {
				c.is("status", code, "")
			}
			c.is(fmt.Sprintf("requests with status %v", code), codes.number(fmt.Sprint(code)), "")
		}
	}
}

func (c *numberCheck) errors() {
	c.t.Helper()
	errs := c.j.object("errors")
	names := slices.SortedFunc(maps.Keys(errs), func(a, b string) int {
		return cmp.Or(cmp.Compare(errs[b].(float64), errs[a].(float64)), cmp.Compare(a, b))
	})
	for _, name := range names {
		c.is("errors "+name, errs[name].(float64), "")
	}
}

func (c *numberCheck) objectives() {
	c.t.Helper()
	for _, s := range c.j.list("slos") {
		if strings.HasSuffix(s.text("slo"), "%") {
			c.is(s.text("slo"), 100*s.number("value"), "%")
		} else {
			c.is(s.text("slo"), 1000*s.number("value"), "ms")
		}
	}
}

func (c *numberCheck) traces() {
	c.t.Helper()
	for _, s := range c.j.list("slowest") {
		c.is("slowest", 1000*s.number("response_time"), "ms")
		if s.number("status") != 0 {
			c.is("status of the slowest", s.number("status"), "")
		}
	}
	for _, a := range c.j.list("tail_attribution") {
		c.is("slow", a.number("slow"), "")
		c.is("difference", 1000*a.number("difference"), "ms")
		c.is("typical", a.number("typical"), "")
		c.is("slow found", a.number("slow_found"), "")
		c.is("typical found", a.number("typical_found"), "")
		for _, cause := range a.list("causes") {
			if cause.number("share") < 0.02 {
				continue
			}
			c.is("difference of a cause", 1000*cause.number("difference"), "ms")
			c.is("share of a cause", 100*cause.number("share"), "%")
			c.is("low", 1000*cause.number("low"), "")
			c.is("high", 1000*cause.number("high"), "ms")
		}
	}
}

// page is report.html: tiles first, then the sections in order.
func (c *numberCheck) page() {
	c.t.Helper()
	if list := c.j.list("slos"); len(list) > 0 {
		violated := 0
		for _, s := range list {
			if s["met"] == false {
				violated++
			}
		}
		if violated > 0 {
			c.is("violated", float64(violated), "")
		}
		if violated > 0 || len(list) > 1 {
			c.is("SLOs", float64(len(list)), "")
		}
		c.objectives()
	}
	if c.j.number("response_time.count") > 0 {
		c.milli("response_time.p50")
		c.milli("response_time.p99")
	}
	c.rate("goodput")
	c.share(measure.Good)
	c.rate("rate_actual")
	if c.open() {
		c.rate("rate_target")
	}
	c.is("failed and shed", c.j.number("classes.failed")+c.j.number("classes.shed"), "")
	c.count("classes.failed")
	c.count("classes.shed")
	for _, k := range c.classes() { // the bar
		if c.j.number("classes."+string(k)) > 0 {
			c.count("classes." + string(k))
			c.count("classes." + string(k))
		}
	}
	for _, k := range c.classes() { // its key
		c.count("classes." + string(k))
		c.share(k)
		if k == measure.Shed {
			c.promises()
		}
	}
	c.head(false)
	c.generator()
	c.times()
	c.statuses()
	c.errors()
}
