package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// check is what a CI system shows of a report: its validity, an SLO, or without SLOs whether all requests were served.
type check struct {
	Name, Failure string // Failure: "": passed
	Invalid       bool   // the failure is the generator's
}

func (r *Report) checks() []check {
	list := []check{{Name: "valid report", Failure: strings.Join(r.Invalid, "; "), Invalid: len(r.Invalid) > 0}}
	for _, v := range r.SLOs {
		c := check{Name: v.SLO}
		if !v.Met {
			c.Failure = "SLO violated: " + v.Text
		}
		list = append(list, c)
	}
	if len(r.SLOs) == 0 {
		c := check{Name: "requests served"}
		if n := r.Unserved(); n > 0 || r.Sent == r.Cancelled {
			c.Failure = fmt.Sprintf("%d of %d requests failed or shed", n, r.Sent-r.Cancelled)
		}
		list = append(list, c)
	}
	return list
}

// Elements of JUnit XML.
type (
	junitSuite struct {
		XMLName   xml.Name    `xml:"testsuite"`
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Time      string      `xml:"time,attr"` // seconds
		Timestamp string      `xml:"timestamp,attr"`
		Cases     []junitCase `xml:"testcase"`
		Out       string      `xml:"system-out"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Failure *junitProblem `xml:"failure"`
		Error   *junitProblem `xml:"error"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
	}
)

// WriteJUnit writes the report as JUnit XML, for the test results of a CI system: a test case for each SLO, and one
// that has an error if the report is invalid. The text report is its output.
func (r *Report) WriteJUnit(w io.Writer) error {
	s := junitSuite{Name: "load test of " + r.Target, Time: fmt.Sprintf("%.3f", r.Elapsed), Timestamp: r.StartedAt.UTC().Format("2006-01-02T15:04:05")}
	for _, c := range r.checks() {
		x := junitCase{Class: "loadgen", Name: c.Name}
		switch {
		case c.Invalid:
			s.Errors++
			x.Error = &junitProblem{c.Failure}
		case c.Failure != "":
			s.Failures++
			x.Failure = &junitProblem{c.Failure}
		}
		s.Cases = append(s.Cases, x)
	}
	s.Tests = len(s.Cases)
	var text bytes.Buffer
	if err := r.Write(&text); err != nil {
		return err
	}
	s.Out = text.String()
	b, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write([]byte(xml.Header + string(b) + "\n"))
	return err
}

// WriteGitHub writes what failed as workflow commands of GitHub Actions, which are annotations of the run, and the
// rest as notices.
func (r *Report) WriteGitHub(w io.Writer) error {
	var b bytes.Buffer
	for _, c := range r.checks() {
		if c.Failure != "" {
			b.WriteString(Annotation("error", "Load test: "+c.Name, c.Failure))
		}
	}
	b.WriteString(Annotation("notice", "Load test of "+r.Target, fmt.Sprintf("%s; p50 %s, p99 %s; %d of %d served",
		r.rate(), ms(r.Response.P50), ms(r.Response.P99), r.Response.Count, r.Sent-r.Cancelled)))
	if len(r.FailedChecks) > 0 {
		c := r.FailedChecks[0]
		fmt.Fprintf(&b, "::error title=%s::%s\n", property("Failed check: "+c.Scenario), data(fmt.Sprintf("%s: %d requests; the first: %s, %s", c.Check, c.Requests, c.Detail, r.trace(c.TraceID))))
	}
	for _, s := range r.Slowest[:min(len(r.Slowest), 1)] {
		b.WriteString(Annotation("notice", "Slowest request", fmt.Sprintf("%s, %s, %s, %s", s.Scenario, ms(s.Response), status(s.Status), r.trace(s.TraceID))))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Annotation returns a workflow command of GitHub Actions: an error, a warning or a notice.
func Annotation(level, title, text string) string {
	return fmt.Sprintf("::%s title=%s::%s\n", level, property(title), data(text))
}

// data escapes the text of a workflow command.
func data(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

// property escapes a property of a workflow command.
func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(data(s))
}
