package build

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Repository returns the folder of this module, at or above the working directory.
func Repository() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(b), "module soundcheck\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod of the module soundcheck in " + wd + " or above it: run this in a checkout of the repository")
		}
	}
}
