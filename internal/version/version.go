// Package version reports which build of a program runs.
package version

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// linked is set by the linker (-X), where the go command finds no repository to read the
// version from: in the build of an image.
var linked string

// String returns the version of the running program: the linked one, or the module's, or the
// commit it was built from, or "devel".
func String() string {
	if linked != "" {
		return linked
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	commit, dirty := commit()
	if len(commit) < 12 {
		return "devel"
	}
	return commit[:12] + dirty
}

// Line is what -version prints of a program: version, commit, Go's version, and platform.
func Line(program string) string {
	commit, dirty := commit()
	return fmt.Sprintf("%s %s, commit %s, %s %s/%s", program, String(), cmp.Or(commit+dirty, "unknown"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// commit returns what the go command found in the repository. Dirty is "-dirty" if files
// differed from the commit, else "".
func commit() (revision, dirty string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", ""
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	return revision, dirty
}
