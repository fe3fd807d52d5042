package flow

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml"
	"github.com/theory/jsonpath"

	"soundcheck/loadgen/targets"
)

// extract takes a value of a response.
type extract struct {
	name   string
	path   *jsonpath.Path
	header string
	regex  *regexp.Regexp
	pick   string         // of several values
	value  *targets.Value // if there is none; nil: the step fails
	source string         // in messages
}

// newExtract compiles an extract: a JSONPath, or a map.
func newExtract(name string, c any) (x extract, err error) {
	x = extract{name: name, pick: "first"}
	fields, ok := c.(yaml.MapSlice)
	if text, is := c.(string); is {
		fields, ok = yaml.MapSlice{{Key: "jsonpath", Value: text}}, true
	}
	if !ok {
		return x, errors.New("not a JSONPath, or a map with jsonpath, header, regex, select or default")
	}
	for _, item := range fields {
		key := fmt.Sprint(item.Key)
		text, isText := item.Value.(string)
		if key != "default" && !isText {
			return x, fmt.Errorf("%s is not a string", key)
		}
		switch key {
		case "jsonpath":
			x.source = text
			if x.path, err = jsonpath.Parse(text); err != nil {
				return x, fmt.Errorf("%q is not a JSONPath: %w", text, err)
			}
		case "header":
			if x.header = text; targets.CheckHeader(http.Header{text: {""}}) != nil {
				return x, fmt.Errorf("%q is not the name of a header", text)
			}
		case "regex":
			if x.regex, err = regexp.Compile(text); err != nil {
				return x, err
			}
			if n := x.regex.NumSubexp(); n > 1 {
				return x, fmt.Errorf("regex %q has %d groups, at most 1: others as (?:...)", text, n)
			}
		case "select":
			if x.pick = text; !slices.Contains([]string{"first", "last", "random", "all"}, text) {
				return x, fmt.Errorf("select %q is not first, last, random or all", text)
			}
		case "default":
			v, ok := valueOf(item.Value)
			if !ok {
				return x, errors.New("default is not a string, a number, true, false or null")
			}
			x.value = &v
		default:
			return x, fmt.Errorf("unknown field %q: jsonpath, header, regex, select or default", key)
		}
	}
	switch {
	case x.path != nil && (x.header != "" || x.regex != nil):
		return x, errors.New("jsonpath and header or regex do not go together")
	case x.path == nil && x.header == "" && x.regex == nil:
		return x, errors.New("no jsonpath, header or regex")
	case x.path == nil && x.pick == "all":
		return x, errors.New("select all needs jsonpath")
	case x.regex != nil && x.header != "":
		x.source = "header " + x.header + ", regex " + x.regex.String()
	case x.header != "":
		x.source = "header " + x.header
	case x.regex != nil:
		x.source = "regex " + x.regex.String()
	}
	return x, nil
}

// of returns the value of a response, for placeholders and for expressions.
func (x *extract) of(r *response, rng *rand.Rand) (v targets.Value, native any, err error) {
	if x.path != nil {
		root, err := r.json()
		if err != nil {
			return v, nil, err
		}
		list := []any(x.path.Select(root))
		if x.pick == "all" {
			return literal(list)
		}
		if len(list) == 0 {
			return v, nil, fmt.Errorf("%s selects nothing", x.source)
		}
		return literal(list[x.index(len(list), rng)])
	}
	var texts []string
	if x.header != "" {
		texts = r.header.Values(x.header)
	} else if r.err != nil {
		return v, nil, r.err
	} else {
		texts = []string{string(r.body)}
	}
	if x.regex != nil {
		var found []string
		for _, text := range texts {
			for _, m := range x.regex.FindAllStringSubmatch(text, -1) {
				found = append(found, m[len(m)-1])
			}
		}
		texts = found
	}
	if len(texts) == 0 {
		return v, nil, fmt.Errorf("%s: nothing found", x.source)
	}
	text := texts[x.index(len(texts), rng)]
	return targets.Value{Text: text}, text, nil
}

// index picks one of n values.
func (x *extract) index(n int, rng *rand.Rand) int {
	switch x.pick {
	case "last":
		return n - 1
	case "random":
		return rng.IntN(n)
	}
	return 0
}
