package values

import (
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"strings"
)

// pattern generates strings that match a regular expression.
type pattern struct {
	tree *syntax.Regexp
	re   *regexp.Regexp
}

// codepoint is a character that JSON Schema writes in another way than Go.
var codepoint = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)

func compilePattern(text string) (*pattern, error) {
	text = codepoint.ReplaceAllString(text, `\x{$1}`)
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	return &pattern{tree, re}, err
}

// maxRepeats is how often what repeats without limit does, unless the string is too short.
const maxRepeats = 8

// generate returns a string that probably matches, and has a length in characters; most: 0: any.
func (p *pattern) generate(r *rand.Rand, least, most int) (string, bool) {
	repeats := maxRepeats
	for range 20 {
		var b strings.Builder
		write(&b, p.tree, r, repeats, least)
		s := b.String()
		n := len([]rune(s))
		switch {
		case n < least:
			repeats = max(repeats+1, least)
		case most > 0 && n > most:
			repeats = max(repeats/2, 1)
		case p.re.MatchString(s):
			return s, true
		}
	}
	return "", false
}

func write(b *strings.Builder, t *syntax.Regexp, r *rand.Rand, repeats, least int) {
	times := func(low, high int) {
		if high < 0 {
			high = max(low, repeats)
			if b.Len() < least {
				low = min(max(low, least-b.Len()), high)
			}
		}
		high = min(high, max(low, 4*repeats))
		for range low + r.IntN(high-low+1) {
			write(b, t.Sub[0], r, repeats, least)
		}
	}
	switch t.Op {
	case syntax.OpLiteral:
		for _, c := range t.Rune {
			b.WriteRune(c)
		}
	case syntax.OpCharClass:
		b.WriteRune(char(t.Rune, r))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte(letters[r.IntN(len(letters))])
	case syntax.OpStar:
		times(0, -1)
	case syntax.OpPlus:
		times(1, -1)
	case syntax.OpQuest:
		times(0, 1)
	case syntax.OpRepeat:
		times(t.Min, t.Max)
	case syntax.OpAlternate:
		write(b, t.Sub[r.IntN(len(t.Sub))], r, repeats, least)
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range t.Sub {
			write(b, sub, r, repeats, least)
		}
	}
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789"

// char returns a character of a class: of ASCII's printable ones, if it has any.
func char(ranges []rune, r *rand.Rand) rune {
	for _, limits := range [][2]rune{{'!', '~'}, {' ', '~'}, {0, 0x10ffff}} {
		total := rune(0)
		for i := 0; i < len(ranges); i += 2 {
			total += max(min(ranges[i+1], limits[1])-max(ranges[i], limits[0])+1, 0)
		}
		if total == 0 {
			continue
		}
		k := r.Int32N(total)
		for i := 0; i < len(ranges); i += 2 {
			n := max(min(ranges[i+1], limits[1])-max(ranges[i], limits[0])+1, 0)
			if k < n {
				return max(ranges[i], limits[0]) + k
			}
			k -= n
		}
	}
	return '?'
}

// CheckPattern returns an error if Go does not have a pattern.
func CheckPattern(text string) error {
	_, err := compilePattern(text)
	return err
}
