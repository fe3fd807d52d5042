package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"soundcheck/lab/proc"
)

// pollInterval is the time between two looks at the pods.
const pollInterval = time.Second

// warningsAfter is when events are read, too. Most warnings of the first seconds pass.
const warningsAfter = 15 * time.Second

// Upgrade installs or upgrades the release and waits until it is ready. Out receives the details
// of a failure: logs, and commands to look further. A pod that cannot become ready ends the wait.
func (r *Release) Upgrade(ctx context.Context, args []string, timeout time.Duration, out io.Writer) error {
	defer r.Progress.Clear()
	args = append([]string{"upgrade", "--install", r.Name, r.Chart, "--create-namespace", "--wait", "--timeout", timeout.String()}, args...)
	var old *earlier
	if pods, jobs, err := r.workloads(ctx); err == nil {
		old = r.newEarlier(pods, jobs)
	}
	helm, err := startHelm(append(args, r.helmFlags()...))
	if err != nil {
		return err
	}
	begun := time.Now()
	for {
		select {
		case err := <-helm.ended:
			if err != nil {
				return r.explain(ctx, out, helm.errs.String(), err)
			}
			r.warn(helm.errs.String())
			return nil
		case <-ctx.Done():
			helm.stop()
			return ctx.Err()
		case <-time.After(pollInterval):
		}
		pods, jobs, err := r.workloads(ctx)
		if err != nil {
			continue // a moment without the API server; helm decides
		}
		old.observe(jobs, time.Now())
		if failed := r.fatal(pods, jobs, old); failed != nil {
			helm.stop()
			return r.report(ctx, out, pods, failed)
		}
		if time.Since(begun) > warningsAfter {
			r.addWarnings(ctx, pods)
		}
		r.Progress.Show(r.summary(pods, time.Since(begun)))
	}
}

// process is a running helm.
type process struct {
	cmd   *exec.Cmd
	errs  bytes.Buffer
	ended chan error
}

func startHelm(args []string) (*process, error) {
	p := &process{cmd: exec.Command("helm", args...), ended: make(chan error, 1)}
	p.cmd.Stderr = &p.errs
	// An interrupt of the terminal must not end it before we stop it, which we do in order.
	p.cmd.SysProcAttr = proc.Group()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("helm: %w", err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	return p, nil
}

// stop interrupts helm, which then records the release as failed, and not as pending for ever.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-p.ended:
	case <-time.After(15 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// warn passes warnings on, such as those about deprecated APIs.
func (r *Release) warn(text string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "I") {
			r.Progress.Line("helm: " + line)
		}
	}
}

// workloads returns pods and Jobs of the release.
func (r *Release) workloads(ctx context.Context) (pods, jobs []pod, err error) {
	var all list[pod]
	if err := r.get(ctx, &all, "pods,jobs,deployments,statefulsets", "-n", r.Namespace, "-l", r.selector()); err != nil {
		return nil, nil, err
	}
	r.want, r.controllers = 0, nil
	for _, p := range all.Items {
		switch {
		case r.components != nil && !r.components[p.component()]:
			// Of a failed upgrade. Helm compares with the last one that did not fail, so that the
			// next upgrade does not remove it.
		case p.Kind == "Job":
			jobs = append(jobs, p)
		case p.Kind != "Pod": // a Deployment or StatefulSet
			r.controllers = append(r.controllers, p)
			r.want++
			if p.Spec.Replicas != nil {
				r.want += *p.Spec.Replicas - 1
			}
		default:
			pods = append(pods, p)
		}
	}
	return pods, jobs, nil
}

// addWarnings adds the last warning to pods that are not ready: without it, a volume that cannot be
// mounted is only ContainerCreating.
func (r *Release) addWarnings(ctx context.Context, pods []pod) {
	var events list[struct {
		InvolvedObject  struct{ UID string }
		Reason, Message string
	}]
	if err := r.get(ctx, &events, "events", "-n", r.Namespace, "--field-selector", "type=Warning,involvedObject.kind=Pod", "--sort-by", ".metadata.creationTimestamp"); err != nil {
		return
	}
	for i := range pods {
		for _, e := range events.Items {
			if e.InvolvedObject.UID == pods[i].Metadata.UID && !pods[i].ready() {
				pods[i].warning = ", " + e.Reason + ": " + oneLine(e.Message)
			}
		}
	}
}

// failure is a reason to end the wait.
type failure struct {
	problem
	job string // the Job that failed
}

// fatal returns the first reason why the release cannot become ready.
func (r *Release) fatal(pods, jobs []pod, old *earlier) *failure {
	for _, j := range jobs {
		if c := j.condition("Failed"); c.Status == "True" && !old.excuses(j, nil, time.Now()) {
			return &failure{problem{text: c.Reason + ": " + oneLine(c.Message)}, j.Metadata.Name}
		}
	}
	for _, p := range pods {
		if p.Metadata.DeletionTimestamp != nil || p.ready() || p.Status.Phase == "Succeeded" || old.excuses(p, r.controllers, time.Now()) {
			continue
		}
		if found := p.problem(r); found.final {
			return &failure{problem: found}
		}
	}
	return nil
}

// summary is a line of progress: how many pods are ready, and why the others are not.
func (r *Release) summary(pods []pod, elapsed time.Duration) string {
	ready, total := 0, r.want
	var waiting []string
	for _, p := range pods {
		if !p.counts() {
			continue
		}
		if p.ready() {
			ready++
			continue
		}
		waiting = append(waiting, p.component()+" ("+p.problem(r).short()+")")
	}
	line := fmt.Sprintf("%d of %d pods ready, %.0f s", ready, total, elapsed.Seconds())
	if total == 0 {
		line = fmt.Sprintf("installing, %.0f s", elapsed.Seconds())
	}
	if len(waiting) > 0 {
		line += ": waiting for " + strings.Join(waiting, ", ")
	}
	return line
}

// report writes the details of a failure, and returns it in one line.
func (r *Release) report(ctx context.Context, out io.Writer, pods []pod, f *failure) error {
	r.Progress.Clear()
	if f.job != "" {
		for i := len(pods) - 1; i >= 0; i-- {
			for _, o := range pods[i].Metadata.OwnerReferences {
				if o.Kind == "Job" && o.Name == f.job {
					r.logsOf(ctx, out, pods[i])
					i = 0
					break
				}
			}
		}
		return fmt.Errorf("Job %s failed: %s; see %s", f.job, f.text, r.Kubectl("logs job/"+f.job))
	}
	if f.log {
		r.logTail(ctx, out, f.pod.Metadata.Name, f.container, f.previous)
	}
	return fmt.Errorf("pod %s, container %s: %s; see %s", f.pod.Metadata.Name, f.container, f.text, f.fix)
}

// logsOf writes the last log lines of all containers of a pod.
func (r *Release) logsOf(ctx context.Context, out io.Writer, p pod) {
	for _, c := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
		if c.State.Waiting == nil {
			r.logTail(ctx, out, p.Metadata.Name, c.Name, false)
		}
	}
}

// explain turns helm's error into one that names the pods that are not ready.
func (r *Release) explain(ctx context.Context, out io.Writer, text string, err error) error {
	r.Progress.Clear()
	message := lastLine(text)
	if message == "" {
		message = err.Error()
	}
	if strings.Contains(text, "conflict") && strings.Contains(text, "using") {
		return fmt.Errorf("helm: %s. Another program owns these fields: undo its change, or take them over with: go run ./deploy up … -- --force-conflicts", oneLine(message))
	}
	pods, jobs, err2 := r.workloads(ctx)
	if err2 != nil {
		return errors.New("helm: " + message)
	}
	r.addWarnings(ctx, pods)
	if f := r.fatal(pods, jobs, nil); f != nil {
		return r.report(ctx, out, pods, f)
	}
	var lines []string
	for _, p := range pods {
		if !p.counts() || p.ready() {
			continue
		}
		found := p.problem(r)
		if found.log {
			r.logTail(ctx, out, p.Metadata.Name, found.container, found.previous)
		}
		lines = append(lines, fmt.Sprintf("pod %s: %s; see %s", p.Metadata.Name, found.text, found.fix))
	}
	if len(lines) == 0 {
		return errors.New("helm: " + oneLine(message))
	}
	return fmt.Errorf("helm: %s\n%s", oneLine(message), strings.Join(lines, "\n"))
}
