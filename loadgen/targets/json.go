package targets

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// json parses a line of the JSON format.
func (f *targetFile) json(line string) error {
	if line == "" {
		return nil
	}
	var t struct {
		method, url string
		header      http.Header
		body        []byte
	}
	seen := map[string]bool{}
	err := eachField(line, func(key string, value json.RawMessage) error {
		seen[key] = true
		var into any
		want := ""
		switch key {
		case "method":
			into, want = &t.method, "a string"
		case "url":
			into, want = &t.url, "a string"
		case "header":
			into, want = &t.header, `lists of strings by name, as in {"Accept": ["text/plain"]}`
		case "body":
			into, want = &t.body, "a string in base64"
		default:
			return fmt.Errorf("unknown field %s: fields are method, url, header, body", excerpt(key))
		}
		if json.Unmarshal(value, into) != nil {
			return fmt.Errorf("field %q is not %s", key, want)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range []string{"method", "url"} {
		if !seen[key] {
			return fmt.Errorf("field %q is missing", key)
		}
	}
	target, err := newTarget(t.method, t.url)
	if err != nil {
		return err
	}
	if err := CheckHeader(t.header); err != nil {
		return err
	}
	for name, values := range t.header {
		target.Header[name] = values
	}
	target.Body = t.body
	if err := f.complete(&target); err != nil {
		return err
	}
	return f.emit(target)
}

// eachField calls see for each field of a line with a JSON object.
func eachField(line string, see func(name string, value json.RawMessage) error) error {
	dec := json.NewDecoder(strings.NewReader(line))
	if begin, err := dec.Token(); err != nil || begin != json.Delim('{') {
		return fmt.Errorf("%s is not a JSON object: use one object a line", excerpt(line))
	}
	seen := map[string]bool{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return jsonError(line, err)
		}
		key := name.(string) // of an object
		if seen[key] {
			return fmt.Errorf("field %q appears twice", key)
		}
		seen[key] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return jsonError(line, err)
		}
		if err := see(key, value); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return jsonError(line, err)
	}
	if rest := strings.TrimSpace(line[dec.InputOffset():]); rest != "" {
		return fmt.Errorf("%s follows the object: use one object a line", excerpt(rest))
	}
	return nil
}

// jsonError describes the error of a line that is not JSON.
func jsonError(line string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s is an incomplete JSON object: use one object a line", excerpt(line))
	}
	return fmt.Errorf("%s is not JSON: %w", excerpt(line), err)
}
