package workload

import "net/url"

// Services returns the URLs of the services of the requests, at most n: the base URLs, or one of each host of targets.
// Those of a stream or a recording are not known yet.
func (w Workload) Services(bases []*url.URL, n int) (list []*url.URL) {
	if w.Stream != nil || w.Recording != nil {
		return nil
	}
	if len(w.Targets) == 0 {
		return bases
	}
	known := map[string]bool{}
	for _, t := range w.Targets {
		u, err := url.Parse(t.URL)
		if err != nil || len(known) == n {
			break
		}
		if u.Host == "" {
			return bases
		}
		if key := u.Scheme + " " + u.Host; !known[key] {
			known[key] = true
			list = append(list, u)
		}
	}
	return list
}
