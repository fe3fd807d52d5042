package doctor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"soundcheck/lab/doctor/text"
)

// Outcome is the result of a check.
type Outcome string

// Outcomes, from the best to the worst. A check is Skipped if there is nothing to look at, or if this
// system does not show it.
const (
	OK      Outcome = "ok"
	Skipped Outcome = "skipped"
	Warning Outcome = "warning"
	Problem Outcome = "problem"
)

// Finding is something that is wrong, or can become so.
type Finding struct {
	Outcome Outcome `json:"result"` // Warning or Problem
	Text    string  `json:"text"`
	Cause   string  `json:"cause,omitempty"`
	Next    string  `json:"next"`         // the next command to type
	Or      string  `json:"or,omitempty"` // what else helps
}

// or separates the next command from what else helps.
const or = "\n"

// Check is one check and what it found.
type Check struct {
	Name     string    `json:"name"`
	Outcome  Outcome   `json:"result"` // the worst of Findings
	Text     string    `json:"text"`   // what was measured
	Findings []Finding `json:"findings,omitempty"`
}

func newCheck(name string) *Check { return &Check{Name: name, Outcome: OK} }

// skip ends a check that cannot be made.
func (c *Check) skip(format string, args ...any) *Check {
	c.Outcome, c.Text = Skipped, fmt.Sprintf(format, args...)
	return c
}

// note adds to the text.
func (c *Check) note(format string, args ...any) {
	if c.Text != "" {
		c.Text += "; "
	}
	c.Text += fmt.Sprintf(format, args...)
}

func (c *Check) warn(text, cause, next string) { c.add(newFinding(Warning, text, cause, next)) }

func (c *Check) problem(text, cause, next string) { c.add(newFinding(Problem, text, cause, next)) }

func newFinding(o Outcome, text, cause, next string) Finding {
	command, other, _ := strings.Cut(next, or)
	return Finding{o, text, cause, command, other}
}

func (c *Check) add(f Finding) {
	c.Findings = append(c.Findings, f)
	if f.Outcome == Problem || c.Outcome != Problem {
		c.Outcome = f.Outcome
	}
}

// Result is the outcome of all checks.
type Result struct {
	State    string  `json:"state"` // folder of the lab
	Problems int     `json:"problems"`
	Warnings int     `json:"warnings"`
	Checks   []Check `json:"checks"`
}

func newResult(state string, checks []*Check) *Result {
	r := &Result{State: state}
	for _, c := range checks {
		r.Checks = append(r.Checks, *c)
		for _, f := range c.Findings {
			if f.Outcome == Problem {
				r.Problems++
			} else {
				r.Warnings++
			}
		}
	}
	return r
}

// WriteJSON writes the result as a JSON object.
func (r *Result) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// WriteText writes the result for people.
func (r *Result) WriteText(w io.Writer) error {
	var b bytes.Buffer
	for _, c := range r.Checks {
		if len(c.Findings) == 0 {
			text.Line(&b, c.Name, string(c.Outcome), c.Text)
		}
		writeFindings(&b, c.Name, c.Findings)
	}
	fmt.Fprintf(&b, "\n%s: %s\n", verdict(r), r.State)
	_, err := w.Write(b.Bytes())
	return err
}

func verdict(r *Result) string {
	if r.Problems+r.Warnings == 0 {
		return "nothing found"
	}
	return plural(r.Problems, "problem") + ", " + plural(r.Warnings, "warning")
}

// WriteProblems writes the problems alone.
func (r *Result) WriteProblems(w io.Writer) error {
	var b bytes.Buffer
	for _, c := range r.Checks {
		var list []Finding
		for _, f := range c.Findings {
			if f.Outcome == Problem {
				list = append(list, f)
			}
		}
		writeFindings(&b, c.Name, list)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func writeFindings(b *bytes.Buffer, name string, list []Finding) {
	for _, f := range list {
		text.Line(b, name, string(f.Outcome), f.Text)
		if f.Cause != "" {
			text.Line(b, "", "", "cause: "+f.Cause)
		}
		text.Line(b, "", "", "next:  "+f.Next)
		if f.Or != "" {
			text.Line(b, "", "", "or:    "+f.Or)
		}
		name = ""
	}
}

// plural is a number of things.
func plural[N int | int64](n N, thing string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", thing)
	}
	if strings.HasSuffix(thing, "s") {
		return fmt.Sprintf("%d %ses", n, thing)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
