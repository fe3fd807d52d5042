package logs

import (
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"sync"
)

// servicesWithin is how much of both ends of a file is searched for names of services at first.
const servicesWithin = 1 << 20

var serviceName = regexp.MustCompile(`"key":"service\.name","value":\{"stringValue":("(?:[^"\\]|\\.)*")\}`)

// searched is what is known of one of the Collector's files.
type searched struct {
	end   int64    // of what was searched
	names []string // of services
}

// searches has the files of each folder by their heads, which stay after a rotation: a page that follows the
// logs asks every two seconds.
var searches = struct {
	sync.Mutex
	folders map[string]map[position]searched
}{folders: map[string]map[position]searched{}}

// otlpServices returns the names of the services at both ends of the files, and of the last MiB of what was
// appended since, in order.
func otlpServices(folder string, l *log) ([]string, error) {
	searches.Lock()
	defer searches.Unlock()
	names, files := []string{}, map[position]searched{}
	for _, p := range l.parts {
		if p.file == nil {
			continue
		}
		s := searches.folders[folder][p.head]
		if s.end == 0 || s.end > p.size {
			s = searched{}
			if err := s.search(p, min(servicesWithin, p.size)); err != nil {
				return nil, err
			}
		}
		s.end = max(s.end, p.size-servicesWithin)
		if err := s.search(p, p.size); err != nil {
			return nil, err
		}
		files[p.head] = s
		names = append(names, s.names...)
	}
	searches.folders[folder] = files // without those that were deleted
	slices.Sort(names)
	return slices.Compact(names), nil
}

// search adds the names up to a place in the file.
func (s *searched) search(p *part, to int64) error {
	b := make([]byte, to-s.end)
	n, err := p.file.ReadAt(b, s.end)
	if err != nil && err != io.EOF { // truncated meanwhile
		return err
	}
	s.end = to
	for _, m := range serviceName.FindAllSubmatch(b[:n], -1) {
		name := ""
		if json.Unmarshal(m[1], &name) == nil && !slices.Contains(s.names, name) {
			s.names = append(s.names, name)
		}
	}
	return nil
}
