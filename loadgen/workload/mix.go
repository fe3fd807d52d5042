package workload

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Mix is the weight of each scenario.
type Mix map[string]int

// ParseMix parses "get=70,list=20,create=10".
func ParseMix(s string) (Mix, error) { return parseMix(s, Names(), "scenarios") }

// parseMix parses weights of names; kind is what has them.
func parseMix(s string, names []string, kind string) (Mix, error) {
	m, sum := Mix{}, 0
	for part := range strings.SplitSeq(s, ",") {
		name, weight, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || !slices.Contains(names, name) {
			return nil, fmt.Errorf("%q is not %s=weight; %s: %s", part, strings.TrimSuffix(kind, "s"), kind, strings.Join(names, ", "))
		}
		n, err := strconv.Atoi(weight)
		if err != nil || n < 0 || n > 1000 {
			return nil, fmt.Errorf("the weight of %s is out of range: 0 to 1000", name)
		}
		if _, twice := m[name]; twice {
			return nil, fmt.Errorf("duplicate scenario %s", name)
		}
		m[name] = n
		sum += n
	}
	if sum == 0 {
		return nil, fmt.Errorf("all weights are 0")
	}
	return m, nil
}

// order returns the scenarios of one round, shuffled: each as often as its weight, so that
// every round has the exact proportions.
func (m Mix) order(r *rand.Rand) []*Scenario {
	var list []*Scenario
	for _, name := range slices.Sorted(maps.Keys(m)) {
		for range m[name] {
			list = append(list, scenarios[name])
		}
	}
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}
