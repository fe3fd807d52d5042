package contract

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/brianvoe/gofakeit/v7"
	"github.com/getkin/kin-openapi/openapi3"
)

// generation is how many optional properties and parameters a request has.
type generation int

const (
	some generation = iota
	none
	all
)

// values generates values of schemas. It is for one request.
type values struct {
	*gofakeit.Faker
	r        *rand.Rand
	optional generation
	inBody   bool // the value is one of a body
	// known returns a value that a response had, for a property with a normalized name.
	known func(name string) (string, bool)
}

func newValues(seed, n uint64, g generation) *values {
	src := rand.NewPCG(seed, n*0x9e3779b97f4a7c15)
	return &values{Faker: gofakeit.NewFaker(src, false), r: rand.New(src), optional: g}
}

// chance is true once in n times.
func (v *values) chance(n int) bool { return v.r.IntN(n) == 0 }

// deepest is from which depth on values have no optional parts.
const deepest = 6

// value returns a value of a schema that is probably valid; false: there is none.
func (v *values) value(n *node, depth int) (any, bool) {
	switch {
	case n.never || depth > maxDepth:
		return nil, false
	case len(n.alts) > 0:
		from := v.r.IntN(len(n.alts))
		for i := range n.alts {
			if x, ok := v.value(n.alts[(from+i)%len(n.alts)], depth+1); ok {
				return x, true
			}
		}
		return nil, false
	case len(n.enum) > 0:
		return n.enum[v.r.IntN(len(n.enum))], true
	case n.null && depth > 0 && v.optional != all && v.chance(16):
		return nil, true
	}
	if example, ok := n.example(v); ok && v.chance(4) {
		return example, true
	}
	if n.learned != "" && v.known != nil {
		if text, ok := v.known(n.learned); ok {
			if x, ok := n.parse(text); ok {
				return x, true
			}
		}
	}
	kind := openapi3.TypeString
	switch {
	case len(n.types) > 0:
		kind = n.types[v.r.IntN(len(n.types))]
	case n.null:
		return nil, true
	}
	switch kind {
	case openapi3.TypeObject:
		return v.object(n, depth)
	case openapi3.TypeArray:
		return v.array(n, depth)
	case openapi3.TypeInteger:
		return v.integer(n)
	case openapi3.TypeNumber:
		return v.number(n)
	case openapi3.TypeBoolean:
		return v.chance(2), true
	}
	return v.text(n)
}

// example returns an example of the schema, or its default.
func (n *node) example(v *values) (any, bool) {
	s := n.schema
	switch {
	case len(s.Examples) > 0:
		return s.Examples[v.r.IntN(len(s.Examples))], true
	case s.Example != nil:
		return s.Example, true
	}
	return s.Default, s.Default != nil
}

// parse returns the value that a text has as a value of the schema.
func (n *node) parse(text string) (any, bool) {
	for _, alt := range n.alts {
		if x, ok := alt.parse(text); ok {
			return x, true
		}
	}
	var x any = text
	for _, t := range n.types {
		switch t {
		case openapi3.TypeInteger, openapi3.TypeNumber:
			if _, err := strconv.ParseFloat(text, 64); err == nil {
				x = json.Number(text)
			}
		}
	}
	return x, len(n.alts) == 0 && !n.never && n.schema.VisitJSON(x, openapi3.FailFast()) == nil
}

func (v *values) object(n *node, depth int) (any, bool) {
	m := map[string]any{}
	limit := math.MaxInt
	if n.schema.MaxProps != nil {
		limit = int(*n.schema.MaxProps)
	}
	add := func(p property) bool {
		x, ok := v.value(p.node, depth+1)
		if ok {
			m[p.name] = x
		}
		return ok
	}
	for _, p := range n.props {
		if p.required && !p.readOnly && !add(p) {
			return nil, false
		}
	}
	for range 2 { // the second time until there are enough
		for _, p := range n.props {
			if _, has := m[p.name]; has || p.readOnly || len(m) >= limit {
				continue
			}
			few := uint64(len(m)) < n.schema.MinProps
			wanted := v.optional == all && depth < 2 || v.optional != none && v.chance(2+depth)
			if few || wanted && depth < deepest && !v.assigned(p) {
				add(p)
			}
		}
		if uint64(len(m)) >= n.schema.MinProps {
			break
		}
	}
	if n.extra != nil && !n.closed && len(n.props) == 0 && depth < deepest && v.optional != none {
		for range 1 + v.r.IntN(3) {
			v.more(n, m, limit, depth)
		}
	}
	for i := 0; uint64(len(m)) < n.schema.MinProps; i++ {
		if n.closed || i > 10*int(n.schema.MinProps) {
			return nil, false
		}
		v.more(n, m, limit, depth)
	}
	return m, true
}

// assigned reports whether the service assigns a property of a body: one that a client chose is probably taken.
func (v *values) assigned(p property) bool { return v.inBody && p.node.name == "id" }

// more adds a property that the schema does not name.
func (v *values) more(n *node, m map[string]any, limit, depth int) {
	if len(m) >= limit {
		return
	}
	var x any = v.word()
	ok := true
	if n.extra != nil {
		x, ok = v.value(n.extra, depth+1)
	}
	if ok {
		m[fmt.Sprintf("%s%d", v.word(), len(m))] = x
	}
}

func (v *values) array(n *node, depth int) (any, bool) {
	s := n.schema
	least, most := s.MinItems, s.MinItems+3
	if least == 0 && v.optional != none && depth < deepest {
		least = 1
	}
	if s.MaxItems != nil {
		most = min(most, *s.MaxItems)
	}
	least = min(least, most)
	if depth >= deepest || v.optional == none {
		most = least
	}
	count := int(least) + v.r.IntN(int(most-least)+1)
	list, seen := make([]any, 0, count), map[string]bool{}
	for i := 0; len(list) < count && i < 20*(count+1); i++ {
		item := n.items
		if len(list) < len(n.prefix) {
			item = n.prefix[len(list)]
		}
		if item == nil {
			list = append(list, v.word())
			continue
		}
		x, ok := v.value(item, depth+1)
		if !ok {
			break
		}
		if s.UniqueItems {
			b, err := json.Marshal(x)
			if err != nil || seen[string(b)] {
				continue
			}
			seen[string(b)] = true
		}
		list = append(list, x)
	}
	return list, uint64(len(list)) >= s.MinItems
}

// usual is the greatest number without a maximum.
const usual = 1000

// limits are the bounds of a number, with usual ones instead of infinite.
func (n *node) limits() (low, high float64) {
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

func (v *values) integer(n *node) (any, bool) {
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
func (n *node) exclusive(bound float64, upper bool) bool {
	e, inclusive := n.schema.ExclusiveMin, n.schema.Min
	if upper {
		e, inclusive = n.schema.ExclusiveMax, n.schema.Max
	}
	return e.Value != nil && *e.Value == bound || e.Bool != nil && *e.Bool && inclusive != nil && *inclusive == bound
}

func (v *values) number(n *node) (any, bool) {
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

func (n *node) outside(x float64) bool {
	return x < n.min || x > n.max || x == n.min && n.exclusive(x, false) || x == n.max && n.exclusive(x, true)
}

// text returns a string.
func (v *values) text(n *node) (any, bool) {
	least, most := int(min(n.schema.MinLength, math.MaxInt32)), 0
	if n.schema.MaxLength != nil {
		if most = int(min(*n.schema.MaxLength, math.MaxInt32)); most == 0 {
			return "", least == 0
		}
	}
	if most > 0 && least > most {
		return nil, false
	}
	if n.pattern != nil {
		for range 3 { // what fits by chance is more like the real thing
			if s := v.fake(n); n.pattern.re.MatchString(s) && fits(s, least, most) {
				return s, true
			}
		}
		return n.pattern.generate(v.r, least, most)
	}
	for range 5 {
		if s := v.fake(n); fits(s, least, most) {
			return s, true
		}
	}
	if formats[n.schema.Format] != nil {
		return v.fake(n), true // formats are stricter than lengths; validation decides
	}
	return v.fit(v.fake(n), least, most), true
}

func fits(s string, least, most int) bool {
	n := utf8.RuneCountInString(s)
	return n >= least && (most == 0 || n <= most)
}

// fit makes a string longer or shorter.
func (v *values) fit(s string, least, most int) string {
	r := []rune(s)
	if most > 0 && len(r) > most {
		r = r[:most]
		for i := len(r) - 1; i >= 0 && r[i] == ' '; i-- {
			r[i] = 'x'
		}
	}
	for len(r) < least {
		r = append(r, rune(letters[v.r.IntN(len(letters))]))
	}
	return string(r)
}

func (v *values) word() string { return strings.ToLower(strings.ReplaceAll(v.Noun(), " ", "-")) }
