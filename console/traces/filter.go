package traces

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Filter is a list of conditions. A trace matches if all of them hold for one of its spans:
//
//	condition { "and" condition }
//	condition = key ( operator value | "exists" | "not exists" )
//	operator  = "=" "!=" ">" ">=" "<" "<=" "=~" "!~" "contains" "not contains"
//
// A key is service, name, kind, status, duration, or an attribute: of the span, else of the
// resource; span.KEY and resource.KEY select one of the two. Keys and values can be quoted. The
// regular expressions of =~ and !~ are RE2 and match the whole value, as in PromQL. Except for
// "not exists", a condition on an attribute that a span does not have does not hold.
type Filter []condition

type condition struct {
	text  string // as written
	key   string
	scope scope
	op    string
	value string

	number   *float64       // of the value
	pattern  *regexp.Regexp // for =~ and !~
	duration time.Duration  // for the key duration
}

// scope is where the value of a key is.
type scope int

const (
	anywhere   scope = iota // attributes of the span, else of the resource
	ofSpan                  // attributes of the span
	ofResource              // attributes of the resource
	intrinsic               // a field of the span
)

// operators of each intrinsic key.
var (
	equality   = []string{"=", "!="}
	texts      = []string{"=", "!=", "=~", "!~", "contains", "not contains"}
	order      = []string{">", ">=", "<", "<="}
	intrinsics = map[string][]string{"service": texts, "name": texts, "kind": equality, "status": equality, "duration": append(slices.Clone(equality), order...)}
	statuses   = []string{"error", "ok", "unset"}
	kinds      = []string{"client", "server", "internal", "producer", "consumer"}
)

// FilterError is an error in a filter.
type FilterError struct {
	Position int // of the character, from 1
	Text     string
}

// Error implements error.
func (e *FilterError) Error() string {
	return fmt.Sprintf("Filter, character %d: %s", e.Position, e.Text)
}

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

// parser reads a filter. Its methods panic with a *FilterError, which ParseFilter returns.
type parser struct {
	source string
	at     int
}

func (p *parser) fail(at int, format string, args ...any) {
	panic(&FilterError{utf8.RuneCountInString(p.source[:at]) + 1, fmt.Sprintf(format, args...)})
}

// ParseFilter parses a filter. Without conditions it is empty. The error is a *FilterError.
func ParseFilter(source string) (f Filter, err error) {
	p := &parser{source: source}
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*FilterError)
			if !ok {
				panic(r)
			}
			f, err = nil, e
		}
	}()
	if p.space(); p.at == len(source) {
		return nil, nil
	}
	for {
		f = append(f, p.condition())
		switch t := p.word(); {
		case t.text == "" && !t.quoted:
			return f, nil
		case t.is("or", "||"):
			p.fail(t.at, "or is not supported: every condition must hold, joined by and")
		case !t.is("and", "&&"):
			p.fail(t.at, "want and, or the end, not %s. Quote values with spaces", t.shown())
		}
	}
}

func (p *parser) condition() condition {
	key := p.word()
	switch {
	case key.text == "" || key.is("and", "&&", "or"):
		p.fail(key.at, "want a key, such as http.route, not %s", key.shown())
	case !key.quoted && strings.ContainsAny(key.text, "()!"):
		p.fail(key.at, "%q is not a key: parentheses and negation are not supported", key.text)
	}
	c := condition{key: key.text}
	c.setScope(key.quoted)
	op := p.operator()
	c.op = op.text
	if c.op == "exists" || c.op == "not exists" {
		if c.scope == intrinsic {
			p.fail(op.at, "every span has a %s: %s is for attributes", c.key, c.op)
		}
		c.text = p.source[key.at:op.end]
		return c
	}
	if allowed := intrinsics[c.key]; c.scope == intrinsic && !slices.Contains(allowed, c.op) {
		p.fail(op.at, "%s is not for %s: use one of %s", c.op, c.key, strings.Join(allowed, " "))
	}
	value := p.text(func(string) bool { return false })
	if !value.quoted && (value.text == "" || value.is("and", "&&")) {
		p.fail(value.at, "want a value after %s, not %s", c.op, value.shown())
	}
	c.value = value.text
	c.text = p.source[key.at:value.end]
	p.check(&c, value.at)
	return c
}

// setScope finds where the key's value is. A quoted key is an attribute.
func (c *condition) setScope(quoted bool) {
	if _, ok := intrinsics[c.key]; ok && !quoted {
		c.scope = intrinsic
	} else if name, ok := strings.CutPrefix(c.key, "resource."); ok && name != "" {
		c.key, c.scope = name, ofResource
	} else if name, ok := strings.CutPrefix(c.key, "span."); ok && name != "" && name != "kind" { // Jaeger's tag span.kind
		c.key, c.scope = name, ofSpan
	}
}

// check checks a value, and prepares it.
func (p *parser) check(c *condition, at int) {
	if n, err := strconv.ParseFloat(c.value, 64); err == nil && !math.IsNaN(n) {
		c.number = &n
	}
	var err error
	switch {
	case c.op == "=~" || c.op == "!~":
		_, err := regexp.Compile(c.value) // without the anchors, for its message
		if err == nil {
			c.pattern, err = regexp.Compile("^(?s:" + c.value + ")$") // fails for \Q without \E
		}
		if err != nil {
			p.fail(at, "%q is not a regular expression: %s", c.value, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	case c.scope != intrinsic:
		if slices.Contains(order, c.op) && c.number == nil {
			p.fail(at, "%s compares numbers: %q is not one", c.op, c.value)
		}
	case c.key == "duration":
		if c.duration, err = time.ParseDuration(c.value); err != nil || c.duration < 0 {
			p.fail(at, "%q is not a duration. Examples: 1.2s, 100ms, 500us", c.value)
		}
	case c.key == "status":
		p.oneOf(c, at, statuses)
	case c.key == "kind":
		p.oneOf(c, at, kinds)
	}
}

func (p *parser) oneOf(c *condition, at int, list []string) {
	if c.value = strings.ToLower(c.value); !slices.Contains(list, c.value) {
		p.fail(at, "%s is one of %s, not %q", c.key, strings.Join(list, ", "), c.value)
	}
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
		return strings.ContainsRune("=<>~", rune(rest[0])) || strings.HasPrefix(rest, "!=") || strings.HasPrefix(rest, "!~")
	})
	if t.text == "" && !t.quoted && strings.HasPrefix(p.source[p.at:], "&&") {
		p.at += len("&&")
		t.text, t.end = "&&", p.at
	}
	return t
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
