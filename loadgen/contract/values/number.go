package values

import (
	"encoding/json"
	"math"
	"strconv"
)

// usual is the greatest number without a maximum.
const usual = 1000

// limits are the bounds of a number, with usual ones instead of infinite.
func (n *Node) limits() (low, high float64) {
	low, high = n.min, n.max
	switch {
	case math.IsInf(low, -1) && math.IsInf(high, 1):
		return 1, usual
	case math.IsInf(low, -1) && high > 1:
		return 1, high
	case math.IsInf(low, -1):
		return high - usual, high
	case math.IsInf(high, 1):
		return low, max(low+usual, usual)
	}
	return low, high
}

func (v *Values) integer(n *Node) (any, bool) {
	low, high := n.limits()
	step := 1.0
	if m := n.schema.MultipleOf; m != nil && *m > 0 {
		if step = *m; step != math.Trunc(step) {
			return v.number(n)
		}
	}
	from, to := math.Ceil(low/step), math.Floor(high/step)
	if n.exclusive(low, false) && from*step == low {
		from++
	}
	if n.exclusive(high, true) && to*step == high {
		to--
	}
	if from > to {
		return nil, false
	}
	x := (from + math.Floor(v.r.Float64()*(to-from+1))) * step
	if x >= math.MaxInt64 || x <= math.MinInt64 {
		return json.Number(strconv.FormatFloat(x, 'f', 0, 64)), true
	}
	return int64(x), true
}

// exclusive reports whether a bound is not a value.
func (n *Node) exclusive(bound float64, upper bool) bool {
	e, inclusive := n.schema.ExclusiveMin, n.schema.Min
	if upper {
		e, inclusive = n.schema.ExclusiveMax, n.schema.Max
	}
	return e.Value != nil && *e.Value == bound || e.Bool != nil && *e.Bool && inclusive != nil && *inclusive == bound
}

func (v *Values) number(n *Node) (any, bool) {
	low, high := n.limits()
	if m := n.schema.MultipleOf; m != nil && *m > 0 {
		from, to := math.Ceil(low / *m), math.Floor(high / *m)
		x := (from + math.Floor(v.r.Float64()*(to-from+1))) * *m
		return x, from <= to && !n.outside(x)
	}
	for range 20 {
		x := low + v.r.Float64()*(high-low)
		if rounded := math.Round(100*x) / 100; !n.outside(rounded) { // as an amount of money
			return rounded, true
		}
		if !n.outside(x) {
			return x, true
		}
	}
	return nil, false
}

func (n *Node) outside(x float64) bool {
	return x < n.min || x > n.max || x == n.min && n.exclusive(x, false) || x == n.max && n.exclusive(x, true)
}
