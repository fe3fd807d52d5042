package doctor

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"soundcheck/lab/doctor/linux"
	"soundcheck/lab/doctor/metrics"
)

// sample is what is measured twice, to see what changes.
type sample struct {
	at     time.Time
	group  linux.Group
	ticks  map[int]int64 // CPU time by process, in hundredths of a second
	pages  map[string]metrics.Page
	failed map[string]error
}

func (d *doctor) sample(ctx context.Context) sample {
	s := sample{group: d.group(), ticks: map[int]int64{}, pages: map[string]metrics.Page{}, failed: map[string]error{}}
	for _, p := range d.sys.Processes() {
		if used, _, ok := p.Ticks(); ok {
			s.ticks[p.PID] = used
		}
	}
	s.at = time.Now()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for name, url := range d.services() {
		if err := d.first.failed[name]; err != nil { // once is enough to wait for one that hangs
			mu.Lock()
			s.failed[name] = err
			mu.Unlock()
			continue
		}
		wg.Go(func() {
			page, err := d.scrape(ctx, url+"/metrics")
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				s.failed[name] = err
			} else {
				s.pages[name] = page
			}
		})
	}
	wg.Wait()
	return s
}

// scrape reads a page in Prometheus' text format.
func (d *doctor) scrape(ctx context.Context, url string) (metrics.Page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s responded %s", url, resp.Status)
	}
	return metrics.Parse(resp.Body)
}
