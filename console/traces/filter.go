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

// Filter is a list of terms. A trace matches if all of them hold for one of its spans. It is written as
//
//	filter    = all { "or" all }
//	all       = term { "and" term }
//	term      = condition | "(" filter ")"
//	condition = key ( operator value | "exists" | "not exists" )
//	operator  = "=" "!=" ">" ">=" "<" "<=" "=~" "!~" "contains" "not contains"
//
// A key is service, name, kind, status, duration, or an attribute: of the span, else of the
// resource; span.KEY and resource.KEY select one of the two. Keys and values can be quoted. The
// regular expressions of =~ and !~ are RE2 and match the whole value, as in PromQL. Except for
// "not exists", a condition on an attribute that a span does not have does not hold.
type Filter []term

// term is one condition, or alternatives.
type term struct {
	condition condition
	any       []Filter // one of these holds; none: the condition
}

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

// parser reads a filter. Its methods panic with a *FilterError, which ParseFilter returns.
type parser struct {
	source string
	at     int
	open   []int // open parentheses
}

// maxDepth is the max depth of parentheses.
const maxDepth = 50

func (p *parser) fail(at int, format string, args ...any) {
	panic(&FilterError{p.character(at), fmt.Sprintf(format, args...)})
}

// character returns the character at a byte, from 1.
func (p *parser) character(at int) int { return utf8.RuneCountInString(p.source[:at]) + 1 }

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
	f = p.alternatives()
	if p.at < len(source) {
		p.fail(p.at, "there is no ( for this )")
	}
	return f, nil
}

// alternatives reads filters joined by or, to a closing parenthesis or the end.
func (p *parser) alternatives() Filter {
	list := []Filter{p.all()}
	for p.joined("or", "||") {
		list = append(list, p.all())
	}
	if len(list) > 1 {
		return Filter{{any: list}}
	}
	return list[0]
}

// all reads terms joined by and.
func (p *parser) all() (f Filter) {
	for {
		if p.space(); p.next("(") {
			f = append(f, p.parentheses()...)
		} else {
			f = append(f, term{condition: p.condition()})
		}
		if !p.joined("and", "&&") {
			return f
		}
	}
}

func (p *parser) parentheses() Filter {
	if len(p.open) == maxDepth {
		p.fail(p.at, "parentheses are more than %d deep", maxDepth)
	}
	p.open = append(p.open, p.at)
	p.at++
	f := p.alternatives()
	from := p.open[len(p.open)-1]
	if !p.next(")") {
		p.fail(p.at, "want ) for the ( at character %d, not the end", p.character(from))
	}
	p.at++
	p.open = p.open[:len(p.open)-1]
	return f
}

// next reports whether the text follows.
func (p *parser) next(text string) bool { return strings.HasPrefix(p.source[p.at:], text) }

// joined reads a word between terms, if it is one of two. Nothing but the other word, a closing parenthesis or the
// end may follow instead.
func (p *parser) joined(words ...string) bool {
	p.space()
	at := p.at
	if at == len(p.source) || p.next(")") {
		return false
	}
	t := p.word()
	switch {
	case t.is(words...):
		return true
	case t.is("and", "&&", "or", "||"):
		p.at = at
		return false
	case t.text == "" && !t.quoted: // an operator or a parenthesis
		t.text = p.source[at : at+1]
	}
	p.fail(at, "want \"and\", \"or\" or the end, not %s. Quote values with spaces", t.shown())
	return false
}

func (p *parser) condition() condition {
	key := p.word()
	p.space()
	switch {
	case key.text == "" && !key.quoted && p.next(")"):
		key.text = ")"
		fallthrough
	case key.text == "" || key.is("and", "&&", "or", "||"):
		p.fail(key.at, "want a key, such as http.route, not %s", key.shown())
	case key.is("not") && p.next("("), !key.quoted && strings.Contains(key.text, "!"):
		p.fail(key.at, "negation is not supported: use !=, !~, not contains or not exists")
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
	value := p.value()
	if !value.quoted && (value.text == "" || value.is("and", "&&", "or")) {
		if value.text == "" && p.at < len(p.source) {
			value.text = p.source[p.at : p.at+1]
		}
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
