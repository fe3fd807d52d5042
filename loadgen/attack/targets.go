package attack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// maxTargets bounds how much of a file is kept.
const maxTargets = 1_000_000

// ReadTargets reads requests to any service, in vegeta's JSON format if the file begins
// with a {, else in its HTTP format ("GET http://host/path", then headers, then
// "@body-file").
func ReadTargets(r io.Reader) ([]vegeta.Target, error) {
	in := bufio.NewReader(r)
	first, err := in.Peek(1)
	if err != nil {
		return nil, errors.New("there is no target")
	}
	next := vegeta.NewHTTPTargeter(in, nil, nil)
	if first[0] == '{' {
		// It takes no last line that does not end.
		next = vegeta.NewJSONTargeter(io.MultiReader(in, strings.NewReader("\n")), nil, nil)
	}
	var list []vegeta.Target
	for {
		var t vegeta.Target
		err := next(&t)
		switch {
		case errors.Is(err, vegeta.ErrNoTargets) && len(list) > 0:
			return list, nil
		case errors.Is(err, vegeta.ErrNoTargets):
			return nil, errors.New("there is no target")
		case err != nil:
			return nil, fmt.Errorf("target %d: %w", len(list)+1, err)
		case len(list) == maxTargets:
			return nil, fmt.Errorf("more than %d targets", maxTargets)
		}
		u, err := url.Parse(t.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("target %d: %q is not an http:// or https:// URL with a host", len(list)+1, t.URL)
		}
		if !methodPattern.MatchString(t.Method) {
			return nil, fmt.Errorf("target %d: %q is no method", len(list)+1, t.Method)
		}
		list = append(list, t)
	}
}

// methodPattern is a token (RFC 9110, 5.6.2).
var methodPattern = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// inTurn returns request n of a list that is sent in turn, again and again.
func inTurn(list []vegeta.Target, urls []*url.URL, n uint64) *draft {
	i := n % uint64(len(list))
	t := list[i]
	return &draft{n: n, method: t.Method, path: t.URL, url: urls[i], header: t.Header, body: t.Body}
}
