package report

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// KeptRuns is the number of runs in the history, including the current one.
const KeptRuns = 50

var runPattern = regexp.MustCompile(`^\d{8}T\d{6}Z-[0-9a-f]{4}$`)

// Prune deletes the oldest runs beyond KeptRuns.
func Prune(folder string) error {
	list, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(e os.DirEntry) bool { return !runPattern.MatchString(e.Name()) })
	for _, e := range list[:max(len(list)-KeptRuns, 0)] { // sorted by name, and so by time
		if err := os.RemoveAll(filepath.Join(folder, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
