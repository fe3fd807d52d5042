package values

import (
	"math"
	"unicode/utf8"
)

// text returns a string.
func (v *Values) text(n *Node) (any, bool) {
	least, most := int(min(n.schema.MinLength, math.MaxInt32)), 0
	if n.schema.MaxLength != nil {
		if most = int(min(*n.schema.MaxLength, math.MaxInt32)); most == 0 {
			return "", least == 0
		}
	}
	if most > 0 && least > most || !v.spend(least/16) {
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
func (v *Values) fit(s string, least, most int) string {
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
