package build

import (
	"debug/buildinfo"
	"runtime/debug"
)

// Version returns the version of a module in the binary at path, or, if module is empty,
// of its main module; "" if unknown.
func Version(path, module string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return ""
	}
	if module == "" {
		return known(&info.Main)
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module {
			return known(m)
		}
	}
	return ""
}

func known(m *debug.Module) string {
	if m.Replace != nil {
		m = m.Replace
	}
	if m.Version == "(devel)" {
		return "devel"
	}
	return m.Version
}
