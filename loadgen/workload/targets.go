package workload

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Limits of a target file.
const (
	maxTargets    = 1_000_000
	maxTargetLine = 16 << 20 // bytes; a body in base64 is part of a line
)

// ReadTargets reads requests to any service, in vegeta's JSON format if the first line
// that is neither blank nor a comment begins with a {, else in its HTTP format:
//
//	# a comment
//	POST http://host/path
//	Header: value
//	@file with the body
//
//	{"method": "POST", "url": "http://host/path", "header": {"Header": ["value"]}, "body": "base64"}
//
// vegeta skips what it does not know, and then sends other requests than those of the file.
// ReadTargets returns an error with the file and the line.
func ReadTargets(name string, r io.Reader) ([]vegeta.Target, error) {
	f := &targetFile{in: bufio.NewScanner(r), bodies: map[string][]byte{}}
	f.in.Buffer(nil, maxTargetLine)
	err := f.read()
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("%s:%d: the line is longer than %d MiB", name, f.line+1, maxTargetLine>>20)
	case err != nil:
		return nil, fmt.Errorf("%s:%d: %w", name, f.line, err)
	case len(f.list) == 0:
		return nil, fmt.Errorf("%s: no targets", name)
	}
	return f.list, nil
}

// targetFile is a targets file during parsing.
type targetFile struct {
	in   *bufio.Scanner
	line int // number of the last line
	list []vegeta.Target

	// Of the HTTP format:
	began  int               // first line of the last target
	open   bool              // headers and a body may follow
	full   bool              // it has a body: only a new target may follow
	bodies map[string][]byte // by file
}

func (f *targetFile) read() error {
	var take func(string) error
	for f.in.Scan() {
		f.line++
		text := f.in.Bytes()
		if f.line == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff")) // byte order mark of Windows editors
		}
		line := string(bytes.TrimSpace(text))
		if take == nil {
			if line == "" || line[0] == '#' {
				continue
			}
			if take = f.http; line[0] == '{' {
				take = f.json
			}
		}
		if err := take(line); err != nil {
			return err
		}
		if len(f.list) > maxTargets {
			return fmt.Errorf("more than %d targets", maxTargets)
		}
	}
	if err := f.in.Err(); err != nil {
		return err
	}
	return f.end()
}

// requestPattern matches a request line: a header has no blank in its name.
var requestPattern = regexp.MustCompile(`^[A-Z][A-Z0-9_-]*\s`)

// http parses a line of the HTTP format.
func (f *targetFile) http(line string) error {
	switch {
	case line == "":
		return f.end()
	case line[0] == '#':
		return nil
	case requestPattern.MatchString(line):
		if err := f.end(); err != nil {
			return err
		}
		return f.begin(line)
	case !f.open && line[0] == '[':
		return fmt.Errorf("%s is not a request. Convert a JSON array to one target a line: jq -c '.[]'", excerpt(line))
	case !f.open:
		return fmt.Errorf("%s is not a request, as in GET http://host/path", excerpt(line))
	case f.full:
		return fmt.Errorf("%s follows the body", excerpt(line))
	case line[0] == '@':
		return f.body(strings.TrimSpace(line[1:]))
	}
	return f.header(line)
}

func (f *targetFile) begin(line string) error {
	fields := strings.Fields(line)
	if version := fields[len(fields)-1]; len(fields) > 2 && strings.HasPrefix(version, "HTTP/") {
		if version != "HTTP/1.1" {
			return fmt.Errorf("%s is not supported: requests are sent as HTTP/1.1", version)
		}
		fields = fields[:len(fields)-1]
	}
	if len(fields) != 2 {
		return fmt.Errorf("%s has blanks in its URL: use %%20", excerpt(line))
	}
	t, err := newTarget(fields[0], fields[1])
	if err == nil {
		f.list = append(f.list, t)
		f.began, f.open, f.full = f.line, true, false
	}
	return err
}

func (f *targetFile) header(line string) error {
	name, value, ok := strings.Cut(line, ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	switch {
	case line[0] == '{' || line[0] == '[' || line[0] == '<':
		return fmt.Errorf("%s is not a header. Put the body into a file, as in @body.json", excerpt(line))
	case !ok || value == "":
		return fmt.Errorf("%s is not a header, as in Accept: text/plain", excerpt(line))
	}
	if err := checkHeader(name, value); err != nil {
		return err
	}
	// The case of the name is preserved: some services are case-sensitive.
	t := &f.list[len(f.list)-1]
	t.Header[name] = append(t.Header[name], value)
	return nil
}

func (f *targetFile) body(path string) error {
	b, ok := f.bodies[path]
	if !ok {
		var err error
		if b, err = os.ReadFile(path); err != nil {
			return fmt.Errorf("the body: %w", err)
		}
		f.bodies[path] = b
	}
	f.list[len(f.list)-1].Body, f.full = b, true
	return nil
}

// end completes an open target.
func (f *targetFile) end() error {
	if !f.open {
		return nil
	}
	f.open = false
	err := complete(&f.list[len(f.list)-1])
	if err != nil {
		f.line = f.began
	}
	return err
}

// methodPattern matches a token (RFC 9110, 5.6.2): a method or header name.
var methodPattern = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func newTarget(method, address string) (vegeta.Target, error) {
	if !methodPattern.MatchString(method) {
		return vegeta.Target{}, fmt.Errorf("%s is not a method", excerpt(method))
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return vegeta.Target{}, fmt.Errorf("%s is not an http:// or https:// URL with a host", excerpt(address))
	}
	// url.URL escapes the path, but not the query.
	if i := strings.IndexFunc(u.RawQuery, func(r rune) bool { return r <= ' ' || r >= 0x7f }); i >= 0 {
		return vegeta.Target{}, fmt.Errorf("%s has a character in its query that must be percent-encoded", excerpt(address))
	}
	return vegeta.Target{Method: method, URL: address, Header: http.Header{}}, nil
}

// complete normalizes the headers of a target after its body is known.
func complete(t *vegeta.Target) (err error) {
	t.Header, err = normalizeHeader(t.Header, len(t.Body))
	return err
}

// excerpt quotes the beginning of a text.
func excerpt(s string) string {
	const limit = 80
	if len(s) <= limit {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q…", strings.ToValidUTF8(s[:limit], ""))
}
