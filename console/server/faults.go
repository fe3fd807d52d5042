package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

// faultsTimeout is the timeout of the fault APIs of all services.
const faultsTimeout = 10 * time.Second

// maxFaults is how many bytes of a service's response are read.
const maxFaults = 1 << 20

// faulty is a service with active faults.
type faulty struct {
	Service string   `json:"service"`
	Faults  []string `json:"faults"` // as in db-delay=40ms@2%
	Error   string   `json:"error,omitempty"`
	// Containers are those of the service; a command for each clears its faults.
	Containers []string `json:"containers,omitempty"`
}

// faultsResponse is the response of /-/faults.
type faultsResponse struct {
	Services []faulty `json:"services"` // only those with faults, or unavailable ones
	// Clear means that a DELETE of /-/faults clears them. In containers the console cannot: the
	// fault API listens on the loopback interface of the service's container or pod.
	Clear      bool `json:"clear"`
	PortOffset int  `json:"port_offset"` // for the command
}

// faultAdmins returns the URLs of the fault APIs of running services, by name. It
// fails if a supervisor runs but does not respond: then it is unknown which services run.
func faultAdmins(ctx context.Context, state string) (map[string]string, error) {
	if running, err := supervisor.Running(state); err != nil || !running {
		return nil, nil // the lab page shows it
	}
	st, err := supervisor.NewClient(state).Status(ctx)
	if err != nil {
		return nil, failure(http.StatusBadGateway, "the supervisor of the lab is unavailable: %v", err)
	}
	lab := plan.Lab{Offset: st.PortOffset}
	admins := map[string]string{plan.StoreName: lab.StoreAdmin(), "proxy-service": lab.ProxyAdmin()}
	for name := range admins {
		if !slices.ContainsFunc(st.Components, func(p supervisor.ComponentStatus) bool { return p.Name == name && p.Process.PID != 0 }) {
			delete(admins, name)
		}
	}
	return admins, nil
}

// listFaults responds with the active faults.
func listFaults(c Config) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		ctx, cancel := context.WithTimeout(r.Context(), faultsTimeout)
		defer cancel()
		if len(c.Containers) == 0 {
			admins, err := faultAdmins(ctx, c.State)
			return faultsResponse{Services: askFaults(ctx, http.MethodGet, admins), Clear: true}, err
		}
		list, err := faultsByMetric(ctx, c.Prometheus)
		if err != nil {
			return nil, failure(http.StatusBadGateway, "%s", c.backend("Prometheus", c.Prometheus).unavailable(ctx, err))
		}
		for i := range list {
			for _, container := range c.Containers {
				if container.Name == list[i].Service || strings.HasPrefix(container.Name, list[i].Service+"-") {
					list[i].Containers = append(list[i].Containers, container.Name)
				}
			}
		}
		return faultsResponse{Services: list, PortOffset: c.PortOffset}, nil
	}
}

// clearFaults clears all faults of all services, and responds with those that remain. It fails if
// faults of any service may still be active.
func clearFaults(c Config) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		if len(c.Containers) > 0 {
			return nil, failure(http.StatusConflict, "the console cannot clear faults of containers: use the commands in the banner")
		}
		ctx, cancel := context.WithTimeout(r.Context(), faultsTimeout)
		defer cancel()
		admins, err := faultAdmins(ctx, c.State)
		if err != nil {
			return nil, err
		}
		left := askFaults(ctx, http.MethodDelete, admins)
		var failed []string
		for _, f := range left {
			if f.Error != "" {
				failed = append(failed, fmt.Sprintf("faults of %s not cleared: %s", f.Service, f.Error))
			}
		}
		if len(failed) > 0 {
			return nil, failure(http.StatusBadGateway, "%s", strings.Join(failed, "; "))
		}
		return faultsResponse{Services: left, Clear: true}, nil
	}
}

// askFaults calls all services in parallel: one that hangs uses the whole timeout. It
// returns those that have faults, or whose faults are unknown.
func askFaults(ctx context.Context, method string, admins map[string]string) []faulty {
	list := []faulty{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for name, admin := range admins {
		wg.Go(func() {
			var has struct{ Faults []string }
			f := faulty{Service: name, Faults: []string{}}
			if err := fetch(ctx, method, admin, &has); err != nil {
				f.Error = err.Error()
			} else {
				f.Faults = has.Faults
			}
			if len(f.Faults) > 0 || f.Error != "" {
				mu.Lock()
				defer mu.Unlock()
				list = append(list, f)
			}
		})
	}
	wg.Wait()
	slices.SortFunc(list, func(a, b faulty) int { return strings.Compare(a.Service, b.Service) })
	return list
}

// fetch reads a JSON response, unless into is nil: then any 2xx is a success.
func fetch(ctx context.Context, method, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return err
	}
	resp, err := direct.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode/100 != 2, resp.StatusCode != http.StatusOK && into != nil:
		return fmt.Errorf("%s: %s", address, resp.Status)
	case into == nil:
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxFaults))
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// faultsByMetric queries Prometheus for kinds of active faults: some seconds old, and without
// parameters.
func faultsByMetric(ctx context.Context, prometheus *url.URL) ([]faulty, error) {
	u := prometheus.JoinPath("/api/v1/query")
	u.RawQuery = url.Values{"query": {"sum by (service_name, soundcheck_fault) (soundcheck_fault_active) > 0"}}.Encode()
	var response struct {
		Data struct {
			Result []struct{ Metric map[string]string }
		}
	}
	if err := fetch(ctx, http.MethodGet, u.String(), &response); err != nil {
		return nil, err
	}
	kinds := map[string][]string{}
	for _, r := range response.Data.Result {
		name := r.Metric["service_name"]
		kinds[name] = append(kinds[name], r.Metric["soundcheck_fault"])
	}
	list := []faulty{}
	for name, faults := range kinds {
		slices.Sort(faults)
		list = append(list, faulty{Service: name, Faults: faults})
	}
	slices.SortFunc(list, func(a, b faulty) int { return strings.Compare(a.Service, b.Service) })
	return list, nil
}
