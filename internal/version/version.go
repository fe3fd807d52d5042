// Package version is the version of the running binary.
package version

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// linked is set by the linker (-X) in image builds, where the go command finds no repository.
var linked string

// String returns the linked version, or the module's, or the commit, or "devel".
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

// Line is the output of -version: version, commit, Go version and platform.
func Line(program string) string {
	commit, dirty := commit()
	return fmt.Sprintf("%s %s, commit %s, %s %s/%s", program, String(), cmp.Or(commit+dirty, "unknown"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// commit returns the commit of the build. Dirty is "-dirty" if files differed from it, else "".
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
