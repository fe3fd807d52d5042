package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"soundcheck/lab/plan"
	"soundcheck/lab/proc"
	"soundcheck/lab/supervisor"
)

// checkLab checks that the components run, and that no process was left behind.
func (d *doctor) checkLab(ctx context.Context) *Check {
	c := newCheck("lab")
	switch {
	case d.unknown != nil && d.saved != nil && d.saved.Supervisor.Alive():
		pid := d.saved.Supervisor.PID
		if d.stopped(d.saved.Supervisor) {
			c.problem(fmt.Sprintf("the supervisor is stopped (pid %d)", pid), bySignal, fmt.Sprintf("kill -CONT %d", pid))
			break
		}
		c.problem("the supervisor does not respond", d.unknown.Error(),
			fmt.Sprintf("kill -9 %d; %s", pid, d.command("down")))
	case d.unknown != nil:
		c.problem("the state of the lab is not known", d.unknown.Error(), "ls -l "+d.Lab.State)
	case d.status == nil && d.saved == nil:
		c.note("%s in %s", down, d.Lab.State)
		reason, _ := os.ReadFile(filepath.Join(d.Lab.Logs(), supervisor.ErrName))
		if text := strings.TrimPrefix(strings.TrimSpace(string(reason)), "lab: "); text != "" && !d.Start {
			c.warn("the lab stopped by itself", shortened(strings.Join(strings.Fields(text), " ")), d.upCommand("", d.Lab.Offset))
		}
	case d.status == nil:
		d.leftBehind(c)
	default:
		d.notReady(c)
		d.externalStores(ctx, c)
	}
	d.strays(c)
	return c
}

// leftBehind reports what a supervisor that was killed has left.
func (d *doctor) leftBehind(c *Check) {
	var list []string
	for _, p := range d.processes() {
		list = append(list, fmt.Sprintf("%s (pid %d)", p.Name, p.Process.PID))
	}
	cause := fmt.Sprintf("the supervisor (pid %d) was killed, or the machine restarted", d.saved.Supervisor.PID)
	if len(list) == 0 {
		c.warn("the lab was not stopped properly; no component runs", cause, d.upCommand("", d.Lab.Offset))
		return
	}
	c.problem(fmt.Sprintf("no supervisor watches %s: %s", plural(len(list), "process"), strings.Join(list, ", ")), cause, d.command("down")+or+d.upCommand("", d.Lab.Offset))
}

const bySignal = "by SIGSTOP or a debugger"

// stopped reports whether a process is stopped by a signal or a debugger.
func (d *doctor) stopped(p proc.ID) bool {
	f := d.sys.Process(p.PID).Stat()
	return len(f) > 0 && (f[0] == "T" || f[0] == "t") && p.Alive()
}

func (d *doctor) notReady(c *Check) {
	ready, starting := 0, 0
	for _, p := range d.status.Components {
		if d.stopped(p.Process) { // also before the supervisor notices
			c.problem(fmt.Sprintf("%s is stopped (pid %d)", p.Name, p.Process.PID), bySignal, fmt.Sprintf("kill -CONT %d", p.Process.PID))
			continue
		}
		switch p.State {
		case supervisor.Ready:
			ready++
			if p.Restarts > 0 {
				c.warn(fmt.Sprintf("%s was restarted %s, last at %s", p.Name, plural(p.Restarts, "time"), p.Since.Format(time.TimeOnly)),
					"it exited; "+d.lastWords(p), d.command("logs %s", p.Name))
			}
		case supervisor.Unready, supervisor.Restarting, supervisor.Failed:
			c.problem(fmt.Sprintf("%s is %s", p.Name, p.State), strings.TrimPrefix(p.Detail+"; "+d.lastWords(p), "; "), d.command("logs %s", p.Name))
		default:
			starting++
		}
	}
	c.note("%s, %d of %s ready", d.status.Phase, ready, plural(len(d.status.Components), "component"))
	if d.status.Exercise != "" {
		c.note("exercise %s is active", d.status.Exercise)
	}
	if starting > 0 && d.status.Phase == supervisor.Starting && len(c.Findings) == 0 {
		c.warn(fmt.Sprintf("%s still starting", plural(starting, "component")), "the lab is being built or started: telemetry is lost until the Collector is ready", d.command("status"))
	}
}

// lastWords is the last line of a component's log.
func (d *doctor) lastWords(p supervisor.ComponentStatus) string {
	line := strings.TrimSpace(string(supervisor.Tail(filepath.Join(d.Lab.Logs(), p.Name+".log"), 1)))
	if line == "" {
		return "its log is empty"
	}
	return "its log ends with: " + shortened(line)
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

func shortened(s string) string {
	if r := []rune(s); len(r) > 300 {
		return string(r[:300]) + "…"
	}
	return s
}

// externalStores checks that the stores of lab up -store respond.
func (d *doctor) externalStores(ctx context.Context, c *Check) {
	for _, store := range d.Lab.Stores {
		resp, err := d.get(ctx, store+"/readyz")
		switch {
		case err != nil:
			c.problem("the external album store at "+store+" does not respond", err.Error(), "curl -i "+store+"/readyz")
		case resp.StatusCode != http.StatusOK:
			c.problem("the external album store at "+store+" is not ready", "it responded "+resp.Status, "curl -i "+store+"/readyz")
		}
	}
}

// get sends a GET, and reads no body.
func (d *doctor) get(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := d.client.Do(req)
	if err == nil {
		resp.Body.Close()
	}
	return resp, err
}

// strays reports processes of the lab's binaries whose state folder was deleted, or has no supervisor. Only /proc
// shows them.
func (d *doctor) strays(c *Check) {
	ours := map[int]bool{os.Getpid(): true}
	for _, p := range d.processes() {
		ours[p.Process.PID] = true
	}
	for _, st := range []*supervisor.Status{d.status, d.saved} {
		if st != nil {
			ours[st.Supervisor.PID] = true
		}
	}
	for _, p := range d.sys.Processes() {
		exe := strings.TrimSuffix(p.Link("exe"), " (deleted)")
		cwd, deleted := strings.CutSuffix(p.Link("cwd"), " (deleted)")
		self := filepath.Join(d.Lab.State, "lab")
		if ours[p.PID] || exe != self && (filepath.Dir(exe) != d.Build.Bin || !slices.Contains(d.names(), filepath.Base(exe))) {
			continue
		}
		state := cwd // of components
		if exe == self {
			state = d.Lab.State
		}
		id, err := proc.Identify(p.PID)
		if err != nil {
			continue
		}
		if running, err := supervisor.Running(state); !deleted && err == nil && running && exe != self {
			continue // of another lab that runs
		} else if saved, _ := supervisor.Saved(state); saved != nil && state != d.Lab.State {
			c.problem(fmt.Sprintf("%s (pid %d) runs without a supervisor, in %s", p.Name(), p.PID, state), "the supervisor of that lab was killed", "go run ./lab down -state "+state)
			continue
		}
		if id.Alive() {
			cause := "no lab in " + state + " has it in its state"
			if deleted {
				cause = "its state folder " + state + " was deleted while the lab ran"
			}
			c.problem(fmt.Sprintf("%s (pid %d) runs, and no lab knows it", p.Name(), p.PID), cause, fmt.Sprintf("kill %d", p.PID))
		}
	}
}

// names are those of the lab's binaries.
func (d *doctor) names() []string {
	var list []string
	for _, db := range []string{"", "memory", "postgres://h/d"} { // one album store each
		for _, p := range (plan.Lab{Grafana: true, DB: db}).Components() {
			list = append(list, p.Target.Name)
		}
	}
	return list
}

// checkBuilds checks that processes run what the sources and configuration files are now.
func (d *doctor) checkBuilds(context.Context) *Check {
	c := newCheck("builds")
	if d.status == nil {
		return c.skip(down)
	}
	var old, replaced []string
	var changed string
	for _, p := range d.components {
		i := slices.IndexFunc(d.status.Components, func(s supervisor.ComponentStatus) bool { return s.Name == p.Name })
		if i < 0 || !d.status.Components[i].Process.Alive() {
			continue
		}
		running := d.status.Components[i]
		for _, path := range p.Config {
			if file := d.newer(path, running.Since, false); file != "" {
				c.warn(fmt.Sprintf("%s runs with an older configuration", p.Name), d.relative(file)+" was changed after it started", d.command("restart %s", p.Name))
				break
			}
		}
		if running.From != supervisor.FromBuild {
			continue
		}
		binary, err := os.Stat(d.Build.Path(p.Target))
		switch {
		case err != nil:
			c.warn(fmt.Sprintf("the binary of %s is gone", p.Name), err.Error(), d.command("restart %s", p.Name))
		case !d.Build.Fresh(p.Target):
			old = append(old, p.Name)
			for _, source := range append(p.Target.Sources, "go.mod", "go.sum") {
				if file := d.newer(filepath.Join(d.Lab.Root, p.Target.Module, source), binary.ModTime(), true); file != "" && changed == "" {
					changed = file
				}
			}
		case binary.ModTime().After(running.Since.Add(time.Second)):
			replaced = append(replaced, p.Name)
		}
	}
	restart := func(names []string) string {
		commands := make([]string, len(names))
		for i, name := range names {
			commands[i] = d.command("restart %s", name)
		}
		return strings.Join(commands, "; ")
	}
	if len(old) > 0 {
		cause := "sources, module versions, the Go version or GOFLAGS differ from those of the build"
		if changed != "" {
			cause = d.relative(changed) + " was changed after the build"
		}
		c.warn("built from older sources: "+strings.Join(old, ", "), cause, restart(old))
	}
	if len(replaced) > 0 {
		c.warn("older than the binary on disk: "+strings.Join(replaced, ", "), "it was built again after the process started, by another lab of this repository", restart(replaced))
	}
	for _, dir := range []string{"lab/supervisor", "lab/plan", "lab/build", "lab/obtain", "lab/proc"} {
		if file := d.newer(filepath.Join(d.Lab.Root, dir), d.status.StartedAt, true); file != "" {
			c.warn("the supervisor is older than its sources", d.relative(file)+" was changed after lab up", d.upCommand("", d.Lab.Offset))
			break
		}
	}
	c.note("all processes run the present sources and configuration")
	return c
}

// newer returns a file at or below path that was changed after t; "" if none was. Of Go sources, tests do not count.
func (d *doctor) newer(path string, t time.Time, sources bool) (found string) {
	done := errors.New("done")
	filepath.WalkDir(path, func(path string, e os.DirEntry, err error) error {
		switch {
		case err != nil || sources && strings.HasSuffix(path, "_test.go"):
			return nil
		case e.IsDir() && (e.Name() == "testdata" || e.Name() == "tests"):
			return filepath.SkipDir
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.ModTime().After(t) {
			found = path
			return done
		}
		return nil
	})
	return found
}
