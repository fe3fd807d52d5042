package workload

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Statuses is a set of HTTP statuses, as in 200,204 or 2xx.
type Statuses struct {
	text string
	set  [10]uint64
}

// Has reports whether a status is in the set.
func (s *Statuses) Has(status int) bool {
	return status >= 0 && status < 64*len(s.set) && s.set[status/64]>>(status%64)&1 == 1
}

func (s *Statuses) add(from, to int) {
	for i := from; i <= to; i++ {
		s.set[i/64] |= 1 << (i % 64)
	}
}

// MarshalText implements encoding.TextMarshaler.
func (s Statuses) MarshalText() ([]byte, error) { return []byte(s.text), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Statuses) UnmarshalText(b []byte) error {
	*s = Statuses{text: string(b)}
	for part := range strings.SplitSeq(s.text, ",") {
		if len(part) == 3 && part[0] >= '1' && part[0] <= '5' && part[1:] == "xx" {
			first := 100 * int(part[0]-'0')
			s.add(first, first+99)
			continue
		}
		n, err := strconv.Atoi(part)
		if err != nil || n < 100 || n > 599 || len(part) != 3 {
			return fmt.Errorf("%q is not a status (100 to 599) or a class (1xx to 5xx), as in 200,204 or 2xx", part)
		}
		s.add(n, n)
	}
	return nil
}

// Expectations are the expected statuses by scenario, in place of its own; "": those of all others.
type Expectations map[string]*Statuses

// namePattern matches the names of scenarios, which SLOs have in parentheses.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// Add adds 200,404 for all scenarios, or get=200,404 for one. The caller checks that there is one.
func (e Expectations) Add(s string) error {
	name, list, ok := strings.Cut(s, "=")
	if !ok {
		name, list = "", s
	}
	if ok && !namePattern.MatchString(name) {
		return fmt.Errorf("%q is not the name of a scenario", name)
	}
	if e[name] != nil {
		return fmt.Errorf("%q: the same scenario appears twice: write all its statuses in one list, as in 200,404", s)
	}
	e[name] = new(Statuses)
	return e[name].UnmarshalText([]byte(list))
}

// of returns the expected statuses of a scenario; nil: its own.
func (e Expectations) of(scenario string) *Statuses {
	if s := e[scenario]; s != nil {
		return s
	}
	return e[""]
}
