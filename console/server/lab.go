package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"soundcheck/lab/supervisor"
)

// labTimeout is the timeout of the supervisor.
const labTimeout = 3 * time.Second

// Phases beside the supervisor's own.
const (
	phaseDown    = "down"    // no lab runs
	phaseKilled  = "killed"  // its supervisor was killed; some components may still run
	phaseSilent  = "silent"  // a supervisor runs but does not respond
	phaseUnready = "unready" // of containers: not all are ready
)

// labResponse is the response of /-/lab.
type labResponse struct {
	Phase  string `json:"phase"`
	Detail string `json:"detail,omitempty"`
	Folder string `json:"folder"` // of the lab's state
	// Containers means that the components are containers: only their readiness is known.
	Containers bool               `json:"containers,omitempty"`
	Status     *supervisor.Status `json:"status,omitempty"` // of a lab that runs
}

// lab responds with the status from the lab's supervisor, or why there is none; for a lab in
// containers, with their readiness.
func lab(c Config) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		ctx, cancel := context.WithTimeout(r.Context(), labTimeout)
		defer cancel()
		if len(c.Containers) > 0 {
			return askContainers(ctx, c), nil
		}
		return ask(ctx, c.State), nil
	}
}

// Container is a component in a container.
type Container struct {
	Name  string
	Ready string // URL of the readiness probe: 2xx once it is ready
}

// direct ignores proxy settings: its URLs are in the containers' network.
var direct = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func askContainers(ctx context.Context, c Config) labResponse {
	a := labResponse{Phase: string(supervisor.Up), Folder: c.State, Containers: true}
	a.Status = &supervisor.Status{PortOffset: c.PortOffset, Components: make([]supervisor.ComponentStatus, len(c.Containers))}
	var wg sync.WaitGroup
	for i, container := range c.Containers {
		wg.Go(func() {
			p := supervisor.ComponentStatus{Name: container.Name, State: supervisor.Ready}
			if err := fetch(ctx, http.MethodGet, container.Ready, nil); err != nil {
				p.State, p.Detail = supervisor.Unready, err.Error()
			}
			a.Status.Components[i] = p
		})
	}
	wg.Wait()
	for _, p := range a.Status.Components {
		if p.State != supervisor.Ready {
			a.Phase = phaseUnready
		}
	}
	return a
}

func ask(ctx context.Context, state string) labResponse {
	a := labResponse{Folder: state}
	running, err := supervisor.Running(state)
	if err != nil {
		a.Phase, a.Detail = phaseDown, err.Error()
		return a
	}
	if !running {
		a.Phase = phaseDown
		if left, err := supervisor.Saved(state); err != nil {
			a.Detail = err.Error()
		} else if left != nil {
			a.Phase, a.Detail = phaseKilled, "the lab's supervisor was killed; some components may still run: lab up -again restarts all, lab down stops them"
		}
		return a
	}
	st, err := supervisor.NewClient(state).Status(ctx)
	if err != nil {
		a.Phase, a.Detail = phaseSilent, "a lab runs but its supervisor does not respond:  "+err.Error()
		return a
	}
	a.Phase, a.Detail, a.Status = string(st.Phase), st.Failure, &st
	return a
}
