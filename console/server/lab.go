package server

import (
	"context"
	"net/http"
	"time"

	"soundcheck/lab/supervisor"
)

// labTimeout is how long the supervisor may take to answer.
const labTimeout = 3 * time.Second

// Phases beside the supervisor's own.
const (
	phaseDown   = "down"   // no lab runs
	phaseKilled = "killed" // its supervisor was killed; some programs may run on
	phaseSilent = "silent" // a supervisor is there and does not answer
)

// labAnswer is what /-/lab says.
type labAnswer struct {
	Phase  string             `json:"phase"`
	Detail string             `json:"detail,omitempty"`
	Folder string             `json:"folder"`           // of the lab's state
	Status *supervisor.Status `json:"status,omitempty"` // of a lab that runs
}

// lab answers what the supervisor of the lab says, or why there is none.
func lab(state string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), labTimeout)
		defer cancel()
		reply(w, http.StatusOK, ask(ctx, state))
	}
}

func ask(ctx context.Context, state string) labAnswer {
	a := labAnswer{Folder: state}
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
			a.Phase, a.Detail = phaseKilled, "the lab's supervisor was killed; some programs may still run: lab up starts all anew, lab down ends them"
		}
		return a
	}
	st, err := supervisor.NewClient(state).Status(ctx)
	if err != nil {
		a.Phase, a.Detail = phaseSilent, "a lab runs but its supervisor does not answer: "+err.Error()
		return a
	}
	a.Phase, a.Detail, a.Status = string(st.Phase), st.Failure, &st
	return a
}
