package flow

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Source is the text of a flow file and of the files that it names, in JSON: other machines make the same flow of it.
type Source struct {
	File  string            `json:"file"` // path of the flow file
	Text  []byte            `json:"text"`
	Files map[string][]byte `json:"files,omitempty"` // by the names that the flow has for them
}

// Read reads a flow file. Errors have the file and the line. The files that it names are relative to it.
func Read(path string) (*Flow, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Source{File: path, Text: text}.parse(func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(path), name)
		}
		return os.ReadFile(name)
	})
}

// Parse parses the text of a flow file, which must not name other files. Errors have the name and the line.
func Parse(name, text string) (*Flow, error) { return Source{File: name, Text: []byte(text)}.Flow() }

// Flow returns the flow. Errors have the file and the line.
func (s Source) Flow() (*Flow, error) {
	return s.parse(func(name string) ([]byte, error) {
		content, ok := s.Files[name]
		if !ok {
			return nil, fmt.Errorf("%s: the flow must not name other files", name)
		}
		return content, nil
	})
}

// parse parses the text. Open reads another file.
func (s Source) parse(open func(string) ([]byte, error)) (*Flow, error) {
	name, files := strings.TrimSuffix(filepath.Base(s.File), filepath.Ext(s.File)), map[string][]byte{}
	f, err := parse(name, s.Text, func(name string) ([]byte, error) {
		content, ok := files[name] // a pipe can be read only once
		var err error
		if !ok {
			if content, err = open(name); err == nil {
				files[name] = content
			}
		}
		return content, err
	})
	if err != nil {
		return nil, fmt.Errorf("%s:%w", s.File, err)
	}
	f.Source = Source{s.File, s.Text, files}
	return f, nil
}
