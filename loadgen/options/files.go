package options

import (
	"os"
	"strings"
)

// File is a file that a flag names. Its Path is - for stdin.
type File struct {
	Flag, Path string
	Content    []byte
}

// fileFlags are the flags whose values are paths of files that the coordinator needs.
var fileFlags = []string{"cacert", "data", "openapi", "targets"}

// IsFile reports whether a flag's value is the path of a file that Files returns if it is used.
func IsFile(flag string) bool {
	for _, name := range fileFlags {
		if name == flag {
			return true
		}
	}
	return false
}

// Files returns the files that the requests are made of. Stdin has its content if Elsewhere is set.
func (f *Flags) Files() (list []File, err error) {
	r, c := &f.request, &f.Config
	add := func(flag, path string) {
		if path == "" || err != nil {
			return
		}
		content := f.read.Bytes()
		if path != "-" {
			if content, err = os.ReadFile(path); err != nil {
				err = f.Errorf("-%s: %v", flag, err)
			}
		}
		list = append(list, File{flag, path, content})
	}
	add("cacert", f.Lookup("cacert").Value.String())
	if c.Data != nil {
		add("data", r.data)
	}
	if c.Contract != nil {
		list = append(list, File{"openapi", f.contract.file, c.Contract.Source})
	}
	add("targets", r.targets)
	if path, file := strings.CutPrefix(r.body, "@"); f.Address() != "" && (file || path == "-") {
		add("body", path)
	}
	return list, err
}
