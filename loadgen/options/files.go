package options

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"
)

// File is a file that a flag names. Its Path is - for stdin.
type File struct {
	Flag, Path string
	Content    []byte
	Inner      bool // the flag's file names it: its path is relative to that one
}

// fileFlags are the flags whose values are paths of files that the coordinator needs.
var fileFlags = []string{"cacert", "data", "flow", "openapi", "targets"}

// IsFile reports whether a flag's value is the path of a file that Files returns if it is used.
func IsFile(flag string) bool { return slices.Contains(fileFlags, flag) }

// keep returns a reader of a flag's file that keeps what is read, for Files: a pipe can be read only once.
func (f *Flags) keep(flag string, in io.Reader) io.Reader {
	if !f.Elsewhere {
		return in
	}
	if f.contents == nil {
		f.contents = map[string]*bytes.Buffer{}
	}
	f.contents[flag] = new(bytes.Buffer)
	return io.TeeReader(in, f.contents[flag])
}

// Files returns the files that the requests are made of, as they were read, if Elsewhere is set.
func (f *Flags) Files() (list []File) {
	add := func(flag, path string) {
		if content := f.contents[flag]; content != nil {
			list = append(list, File{Flag: flag, Path: path, Content: content.Bytes()})
		}
	}
	if c := f.Config.Flow; c != nil {
		for _, name := range slices.Sorted(maps.Keys(c.Source.Files)) { // first: their names must stay
			list = append(list, File{"flow", name, c.Source.Files[name], true})
		}
		list = append(list, File{Flag: "flow", Path: f.flow, Content: c.Source.Text})
	}
	if pem := f.Config.Connect.CACert; pem != "" {
		list = append(list, File{Flag: "cacert", Path: f.Lookup("cacert").Value.String(), Content: []byte(pem)})
	}
	add("data", f.data)
	if c := f.Config.Contract; c != nil {
		list = append(list, File{Flag: "openapi", Path: f.contract.file, Content: c.Source})
	}
	add("targets", f.targets)
	add("body", strings.TrimPrefix(f.body, "@"))
	return list
}
