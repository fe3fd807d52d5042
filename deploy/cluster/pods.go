package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// pod is a pod as kubectl get -o json shows it, or a Job, of which the conditions count, or a
// workload, of which the replicas count.
type pod struct {
	Kind     string
	Metadata Meta
	Spec     struct{ Replicas *int }
	Status   struct {
		Phase                                    string
		ObservedGeneration                       int64 // this and the next ones: of a workload
		Replicas, UpdatedReplicas                int
		Conditions                               []condition
		InitContainerStatuses, ContainerStatuses []container
	}
	warning string // the last event of type Warning
}

type condition struct{ Type, Status, Reason, Message string }

type container struct {
	Name, Image      string
	Ready            bool
	Started          *bool
	RestartCount     int
	State, LastState struct {
		Waiting    *struct{ Reason, Message string }
		Terminated *struct {
			Reason, Message string
			ExitCode        int
		}
		Running *struct{}
	}
}

func (p pod) condition(kind string) condition {
	i := slices.IndexFunc(p.Status.Conditions, func(c condition) bool { return c.Type == kind })
	if i < 0 {
		return condition{}
	}
	return p.Status.Conditions[i]
}

func (p pod) ready() bool { return p.condition("Ready").Status == "True" }

// counts reports whether the pod is one that must become ready: not one of a Job, and not one that
// is being deleted.
func (p pod) counts() bool {
	return p.Metadata.DeletionTimestamp == nil && p.Status.Phase != "Succeeded" &&
		!slices.ContainsFunc(p.Metadata.OwnerReferences, func(o struct{ Kind, Name string }) bool { return o.Kind == "Job" })
}

// component is the pod's component of the chart.
func (p pod) component() string {
	return component(p.Metadata)
}

// imageReasons are the reasons of a container whose image cannot be had. ErrImagePull is not one
// of them: it is the first attempt.
var imageReasons = []string{"ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError"}

// LoadedRegistry is the registry in the names of images that are loaded into the nodes.
const LoadedRegistry = "soundcheck.local"

// problem is what prevents a pod from being ready. A final one ends the wait.
type problem struct {
	pod       pod
	container string
	text      string
	fix       string // command or change
	final     bool
	previous  bool // the log is of the container before its restart
	log       bool
}

// short is the text without a cause.
func (p problem) short() string {
	text, _, _ := strings.Cut(p.text, ":")
	return text
}

// problem returns why the pod is not ready.
func (p pod) problem(r *Release) problem {
	describe := r.Kubectl("describe pod " + p.Metadata.Name)
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		found := problem{pod: p, container: c.Name}
		logs := r.Kubectl("logs " + p.Metadata.Name + " -c " + c.Name)
		if w := c.State.Waiting; w != nil {
			found.text = w.Reason
			switch {
			case slices.Contains(imageReasons, w.Reason):
				found.final = true
				question := "is it in that registry, and can the nodes reach it?"
				if strings.HasPrefix(c.Image, LoadedRegistry+"/") {
					question = "does -load load it into every node?"
				}
				found.text = fmt.Sprintf("%s: image %s: %s; %s", w.Reason, c.Image, pullCause(w.Message), question)
				found.fix = describe
				return found
			case w.Reason == "CrashLoopBackOff":
				// The first crash may be of a dependency that starts, the second one is not.
				found.final = c.RestartCount >= 1
				found.text += exit(c)
				found.fix, found.log, found.previous = logs+" --previous", true, true
				return found
			case w.Reason == "CreateContainerConfigError", w.Reason == "CreateContainerError", w.Reason == "RunContainerError", w.Reason == "ErrImagePull":
				found.text += ": " + oneLine(w.Message)
				found.fix = describe
				return found
			}
		}
		if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
			found.text, found.fix, found.log = fmt.Sprintf("%s, exit code %d", t.Reason, t.ExitCode), logs, true
			return found
		}
		if c.State.Running != nil && !c.Ready && c.RestartCount > 0 {
			found.text = fmt.Sprintf("running, not ready, restarted %d times%s", c.RestartCount, exit(c))
			found.fix, found.log = logs, true
			return found
		}
	}
	scheduled := p.condition("PodScheduled")
	if scheduled.Status == "False" {
		return problem{pod: p, text: cmp.Or(scheduled.Reason, "not scheduled") + ": " + oneLine(scheduled.Message), fix: describe}
	}
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		switch {
		case c.State.Waiting != nil:
			return problem{pod: p, container: c.Name, text: c.State.Waiting.Reason + p.warning, fix: describe}
		case c.State.Running != nil && !c.Ready:
			return problem{pod: p, container: c.Name, text: "running, not ready", log: true, fix: describe}
		}
	}
	return problem{pod: p, text: cmp.Or(strings.ToLower(p.Status.Phase), "new") + p.warning, fix: describe}
}

// exit describes the last end of a container.
func exit(c container) string {
	t := c.LastState.Terminated
	if t == nil {
		return ""
	}
	text := fmt.Sprintf(", exit code %d", t.ExitCode)
	if t.Reason == "OOMKilled" {
		text += " (OOMKilled: raise its memory limit)"
	}
	return text
}

// pullCause returns the end of the kubelet's message, which begins with the image's name, up to three
// times.
func pullCause(message string) string {
	for _, before := range []string{"ErrImagePull: ", "failed to resolve image: ", "failed to resolve reference ", "failed to do request: "} {
		if _, after, ok := strings.Cut(message, before); ok {
			message = after
		}
	}
	return oneLine(message)
}

func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 300 {
		text = text[:300] + " …"
	}
	return text
}
