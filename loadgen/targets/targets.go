// Package targets reads requests to any service: files in vegeta's formats, and values for the
// placeholders in them.
package targets

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

// Max is the max number of targets in memory.
const Max = 1_000_000

// Limits of a target file.
const (
	maxTargetLine = 16 << 20 // bytes; a body in base64 is part of a line
)

// Read reads requests to any service, in vegeta's JSON format if the first line
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
// Read returns an error with the file and the line.
func (o Options) Read(name string, r io.Reader) (list []vegeta.Target, err error) {
	return list, o.Each(name, r, func(t vegeta.Target) error {
		if len(list) == Max {
			return fmt.Errorf("more than %d targets: -each-once reads any number", Max)
		}
		list = append(list, t)
		return nil
	})
}

// Read reads targets without options.
func Read(name string, r io.Reader) ([]vegeta.Target, error) {
	return Options{}.Read(name, r)
}

// Options are what the targets of a file get.
type Options struct {
	Header http.Header            // in place of headers of the same name
	Data   *Data                  // values of placeholders; nil: none
	Check  func(url string) error // of each target of a file; nil: none
	Closed bool                   // bodies in other files are errors
}

// Count checks the targets of a file, and returns their number.
func (o Options) Count(name string, r io.Reader) (n uint64, err error) {
	return n, o.Each(name, r, func(vegeta.Target) error {
		n++
		return nil
	})
}

// Each calls take for each target of a file.
func (o Options) Each(name string, r io.Reader, take func(vegeta.Target) error) error {
	f := &targetFile{Options: o, in: bufio.NewScanner(r), bodies: map[string][]byte{}}
	f.emit = func(t vegeta.Target) error {
		f.some = true
		if o.Check != nil {
			if err := o.Check(t.URL); err != nil {
				return err
			}
		}
		return take(t)
	}
	f.in.Buffer(nil, maxTargetLine)
	err := f.read()
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%s:%d: the line is longer than %d MiB", name, f.line+1, maxTargetLine>>20)
	case err != nil:
		return fmt.Errorf("%s:%d: %w", name, f.line, err)
	case !f.some:
		return fmt.Errorf("%s: no targets", name)
	}
	return nil
}

// targetFile is a targets file during parsing.
type targetFile struct {
	Options
	in   *bufio.Scanner
	line int // number of the last line
	emit func(vegeta.Target) error
	some bool // there was a target

	// Of the HTTP format:
	target vegeta.Target     // the last one
	began  int               // its first line
	open   bool              // headers and a body may follow
	full   bool              // it has a body: only a new target may follow
	bodies map[string][]byte // by file
	cached int               // bytes of bodies
}

// maxBodies bounds the bytes of bodies that are read once only.
const maxBodies = 64 << 20

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
		f.target = t
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
		// The first word only: the rest may be a secret.
		return fmt.Errorf("%s is not a header, as in Accept: text/plain", excerpt(strings.Fields(line)[0]))
	}
	if err := checkHeader(name, value); err != nil {
		return err
	}
	// The case of the name is preserved: some services are case-sensitive.
	f.target.Header[name] = append(f.target.Header[name], value)
	return nil
}

func (f *targetFile) body(path string) error {
	if f.Closed {
		return fmt.Errorf("@%s: the targets must not name other files. Use the JSON format, with the body in base64", path)
	}
	b, ok := f.bodies[path]
	if !ok {
		var err error
		if b, err = os.ReadFile(path); err != nil {
			return fmt.Errorf("the body: %w", err)
		}
		if f.cached+len(b) <= maxBodies {
			f.bodies[path], f.cached = b, f.cached+len(b)
		}
	}
	f.target.Body, f.full = b, true
	return nil
}

// end completes an open target.
func (f *targetFile) end() error {
	if !f.open {
		return nil
	}
	f.open = false
	err := f.complete(&f.target)
	if err == nil {
		err = f.emit(f.target)
	}
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
	if err := checkQuery(u, address); err != nil {
		return vegeta.Target{}, err
	}
	return vegeta.Target{Method: method, URL: address, Header: http.Header{}}, nil
}

// checkQuery returns an error for a query that cannot be sent: url.URL escapes the path, but not the query.
func checkQuery(u *url.URL, address string) error {
	if strings.ContainsFunc(u.RawQuery, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return fmt.Errorf("%s has a character in its query that must be percent-encoded", excerpt(address))
	}
	return nil
}

// complete normalizes the headers of a target after its body is known, and checks its placeholders.
func (o Options) complete(t *vegeta.Target) (err error) {
	if t.Header, err = NormalizeHeader(t.Header, len(t.Body)); err != nil {
		return err
	}
	t.Header = Override(t.Header, o.Header)
	_, err = NewTemplate(t, o.Data)
	return err
}

// New returns a target of a URL.
func (o Options) New(method, address string, body []byte) (vegeta.Target, error) {
	t, err := newTarget(method, address)
	if err == nil && strings.ContainsAny(address, " \t") {
		err = fmt.Errorf("%s has blanks: use %%20", excerpt(address))
	}
	if err != nil {
		return t, err
	}
	t.Body = body
	return t, o.complete(&t)
}

// NewPath returns a target of a path with its query, at any service.
func (o Options) NewPath(method, path string, body []byte) (vegeta.Target, error) {
	const anyHost = "http://service"
	if _, err := url.Parse(path); err != nil {
		return vegeta.Target{}, err
	}
	t, err := o.New(method, anyHost+path, body)
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), anyHost+"/", "/"))
	}
	t.URL = path
	return t, err
}

// CheckURL returns an error if no request can be sent to a URL.
func CheckURL(address string) error {
	_, err := newTarget(http.MethodGet, address)
	return err
}

// IsMethod reports whether a text is a method.
func IsMethod(s string) bool { return methodPattern.MatchString(s) }

// excerpt quotes the beginning of a text.
func excerpt(s string) string {
	const limit = 80
	if len(s) <= limit {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q…", strings.ToValidUTF8(s[:limit], ""))
}
