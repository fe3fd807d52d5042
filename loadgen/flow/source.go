package flow

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Source is the text of a flow file and of the files that it names, in JSON: other machines make the same flow of it.
type Source struct {
	File  string            `json:"file"` // name of the flow file
	Text  []byte            `json:"text"`
	Files map[string][]byte `json:"files,omitempty"` // by the names that the flow has for them
}

// Read reads a flow file, with its Source. Errors have the file and the line. The files that it names are relative to it.
func Read(path string) (*Flow, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	f, err := parseFile(path, text, func(name string) ([]byte, error) {
		if content, ok := files[name]; ok { // a pipe can be read only once
			return content, nil
		}
		full := name
		if !filepath.IsAbs(name) {
			full = filepath.Join(filepath.Dir(path), name)
		}
		content, err := os.ReadFile(full)
		if err == nil {
			files[name] = content
		}
		return content, err
	})
	if err == nil {
		f.Source = &Source{filepath.Base(path), text, files}
	}
	return f, err
}

// Parse parses the text of a flow file, which must not name other files. Errors have the name and the line.
func Parse(name, text string) (*Flow, error) { return Source{File: name, Text: []byte(text)}.Flow() }

// Flow returns the flow, without its Source. Errors have the file and the line.
func (s Source) Flow() (*Flow, error) {
	return parseFile(s.File, s.Text, func(name string) ([]byte, error) {
		content, ok := s.Files[name]
		if !ok {
			return nil, fmt.Errorf("%s: the flow must not name other files", name)
		}
		return content, nil
	})
}

// parseFile parses the text of a flow file. Open reads another file.
func parseFile(path string, text []byte, open func(string) ([]byte, error)) (*Flow, error) {
	f, err := parse(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), text, open)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return f, nil
}
