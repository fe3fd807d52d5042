package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"soundcheck/lab/supervisor"
)

// settable is a service whose faults can be set.
type settable struct {
	Service string   `json:"service"`
	URL     string   `json:"url"` // of its fault API
	Kinds   []string `json:"kinds"`
	Faults  []string `json:"faults"` // the active ones
	// Hidden means that an exercise controls the faults, and that nothing shows them.
	Hidden bool   `json:"hidden,omitempty"`
	Error  string `json:"error,omitempty"`
}

// settings is the response of /-/faults/settings.
type settings struct {
	Services []settable `json:"services"` // none if the lab is down or in containers
	Exercise string     `json:"exercise,omitempty"`
	Folder   string     `json:"folder"` // of the lab's state, for the command that ends the exercise
}

// faultSettings responds with what can be set, and what is.
func faultSettings(c Config) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		ctx, cancel := context.WithTimeout(r.Context(), faultsTimeout)
		defer cancel()
		a := settings{Services: []settable{}, Folder: c.State}
		if len(c.Containers) > 0 {
			return a, nil
		}
		admins, err := faultAdmins(ctx, c.State)
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(admins)) {
			s := settable{URL: admins[name]}
			if err := fetch(ctx, http.MethodGet, admins[name], &s); err != nil {
				s.Error = err.Error()
			}
			if s.Service = name; s.Hidden {
				s.Faults = []string{}
			}
			a.Services = append(a.Services, s)
		}
		if len(admins) > 0 {
			if st, err := supervisor.NewClient(c.State).Status(ctx); err == nil {
				a.Exercise = st.Exercise
			}
		}
		return a, nil
	}
}

// faultChange sets one fault of a service, or turns it off.
type faultChange struct {
	Service string `json:"service"`
	Kind    string `json:"kind"`
	Value   string `json:"value"` // as in 40ms@2%; "": off
}

// setFault changes one fault and leaves the others of the service as they are. An invalid value fails with the
// service's own error.
func setFault(c Config) func(*http.Request, faultChange) (any, error) {
	return func(r *http.Request, f faultChange) (any, error) {
		ctx, cancel := context.WithTimeout(r.Context(), faultsTimeout)
		defer cancel()
		admins, err := faultAdmins(ctx, c.State)
		if err != nil {
			return nil, err
		}
		admin, ok := admins[f.Service]
		switch {
		case !ok:
			return nil, failure(http.StatusNotFound, "the lab runs no service %q with faults", f.Service)
		case f.Kind == "" || strings.ContainsAny(f.Kind, "=,"):
			return nil, failure(http.StatusBadRequest, "the kind %q is not the name of a fault", f.Kind)
		case strings.Contains(f.Value, ","): // the service would read several faults
			return nil, failure(http.StatusBadRequest, "fault %q: a value has no comma", f.Kind+"="+f.Value)
		}
		var now settable
		if err := fetch(ctx, http.MethodGet, admin, &now); err != nil {
			return nil, failure(http.StatusBadGateway, "%v", err)
		}
		now.Faults = slices.DeleteFunc(now.Faults, func(s string) bool { return strings.HasPrefix(s, f.Kind+"=") })
		if f.Value != "" {
			now.Faults = append(now.Faults, f.Kind+"="+f.Value)
		}
		if err := putFaults(ctx, admin, now.Faults); err != nil {
			return nil, err
		}
		return faultSettings(c)(r)
	}
}

// putFaults replaces the faults of a service. Its error has the status and the text of the service's.
func putFaults(ctx context.Context, admin string, faults []string) error {
	if faults == nil {
		faults = []string{}
	}
	b, err := json.Marshal(map[string]any{"faults": faults})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, admin, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := direct.Do(req)
	if err != nil {
		return failure(http.StatusBadGateway, "%v", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	var problem struct{ Detail string }
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxFaults))
	if err != nil || json.Unmarshal(text, &problem) != nil || problem.Detail == "" {
		return failure(http.StatusBadGateway, "%s: %s", admin, resp.Status)
	}
	status := resp.StatusCode
	if status >= 500 {
		return failure(http.StatusBadGateway, "%s", fmt.Sprintf("%s: %s", resp.Status, problem.Detail))
	}
	return failure(status, "%s", problem.Detail)
}
