package traces

import (
	"slices"
	"strconv"
	"strings"
)

// token is a word, an operator or a quoted text of a filter. The last one, at the end, is empty.
type token struct {
	text   string
	quoted bool
	at     int // byte
	end    int
}

func (t token) is(words ...string) bool {
	return !t.quoted && slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, t.text) })
}

// shown is how an error names a token.
func (t token) shown() string {
	if t.text == "" && !t.quoted {
		return "the end"
	}
	return strconv.Quote(t.text)
}

func (p *parser) space() {
	for p.at < len(p.source) && strings.ContainsRune(" \t\r\n", rune(p.source[p.at])) {
		p.at++
	}
}

// operator reads an operator: a symbol, or one or two words.
func (p *parser) operator() token {
	p.space()
	t := token{at: p.at}
	for _, op := range []string{"==", "=~", "!=", "!~", ">=", "<=", "=", ">", "<"} {
		if !strings.HasPrefix(p.source[p.at:], op) {
			continue
		}
		if op == "==" {
			p.fail(p.at, "== is not an operator: use =")
		}
		p.at += len(op)
		t.text, t.end = op, p.at
		return t
	}
	t = p.word()
	if t.is("not") {
		second := p.word()
		if !second.is("exists", "contains") {
			p.fail(second.at, "want exists or contains after not, not %s", second.shown())
		}
		return token{text: "not " + strings.ToLower(second.text), at: t.at, end: second.end}
	}
	if !t.is("exists", "contains") {
		p.fail(t.at, "want an operator, such as = or exists, not %s", t.shown())
	}
	t.text = strings.ToLower(t.text)
	return t
}

// word reads a key, or a word between conditions.
func (p *parser) word() token {
	t := p.text(func(rest string) bool {
		return strings.ContainsRune("=<>~()", rune(rest[0])) || strings.HasPrefix(rest, "!=") || strings.HasPrefix(rest, "!~")
	})
	if t.text == "" && !t.quoted && strings.HasPrefix(p.source[p.at:], "&&") {
		p.at += len("&&")
		t.text, t.end = "&&", p.at
	}
	return t
}

// value reads a value. Without quotes, it ends at a closing parenthesis that was not opened in it.
func (p *parser) value() token {
	depth := 0
	return p.text(func(rest string) bool {
		switch rest[0] {
		case '(':
			depth++
		case ')':
			depth--
		}
		return depth < 0
	})
}

// text reads a quoted text, or what is before a space, "&&", a quote, or where ends reports true.
func (p *parser) text(ends func(rest string) bool) token {
	p.space()
	t := token{at: p.at}
	rest := p.source[p.at:]
	if strings.HasPrefix(rest, `"`) {
		text, err := strconv.QuotedPrefix(rest)
		if err == nil {
			t.text, err = strconv.Unquote(text)
		}
		if err != nil {
			p.fail(p.at, "the quoted text has no closing quote, or an unknown escape")
		}
		p.at += len(text)
		t.quoted, t.end = true, p.at
		return t
	}
	n := 0
	for n < len(rest) && !strings.ContainsRune(" \t\r\n\"", rune(rest[n])) && !strings.HasPrefix(rest[n:], "&&") && !ends(rest[n:]) {
		n++
	}
	p.at += n
	t.text, t.end = rest[:n], p.at
	return t
}
