package verify

import "strings"

// Program is what a component of the lab runs.
type Program struct {
	Name, Version string
	From          string // built, or where else it is from
	Problem       string // why the version does not fit the lab's configuration; empty: it fits
}

// programs lists the versions that the components run, and fails if one does not fit.
func (s *session) programs() []Check {
	if len(s.Programs) == 0 {
		return nil
	}
	var wrong problems
	var list []string
	for _, p := range s.Programs {
		list = append(list, strings.TrimSpace(p.Name+" "+p.Version)+" ("+p.From+")")
		if p.Problem != "" {
			wrong.add("%s: %s", p.Name, p.Problem)
		}
	}
	return []Check{verdict("programs", wrong, "%s", strings.Join(list, ", "))}
}
