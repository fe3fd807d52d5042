package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"soundcheck/lab/doctor/linux"
	"soundcheck/lab/supervisor"
)

// Limits of warnings and problems.
const (
	lowDisk     = 2 << 30 // Prometheus alone can use as much
	lowMemory   = 1 << 30 // the whole lab uses less
	noMemory    = 256 << 20
	lowFiles    = 4096
	busyCPU     = 0.4 // share of the last 10 s
	busyMemory  = 0.1
	fullFiles   = 0.8
	throttleBad = 0.25 // of the periods
)

func mib(n int64) string {
	if n >= 10<<30 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// checkDisk checks that the state folder can be written and has space.
func (d *doctor) checkDisk(context.Context) *Check {
	c := newCheck("disk")
	dir := d.Lab.State
	for { // the state folder may not exist yet
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		c.problem("the disk of "+dir+" cannot be read", err.Error(), "df -h "+dir)
		return c
	}
	free := int64(s.Bavail) * int64(s.Bsize)
	c.note("%s free in %s", mib(free), dir)
	if dir != d.Lab.State {
		c.note("no folder %s yet: lab up creates it", d.Lab.State)
	}
	next := fmt.Sprintf("du -xh %s | sort -h | tail"+or+"use another folder: the same lab up with -state FOLDER", dir)
	text := fmt.Sprintf("%s of disk free in %s", mib(free), dir)
	switch {
	case free < supervisor.MinFree:
		c.problem(text, fmt.Sprintf("the lab does not start with less than %s, and its databases stop", mib(supervisor.MinFree)), next)
	case free < lowDisk:
		c.warn(text, "traces, metrics and logs of the lab can use more than "+mib(lowDisk), next)
	}
	if s.Files > 0 && s.Ffree < 1000 {
		c.problem(fmt.Sprintf("%d inodes free in %s", s.Ffree, dir), "no more files can be created, whatever the free space", "df -i "+dir+"; "+next)
	}
	if f, err := os.CreateTemp(dir, ".doctor-*"); err == nil {
		f.Close()
		os.Remove(f.Name())
	} else if cause := errors.Unwrap(err); errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		c.problem("files cannot be created in "+dir, cause.Error(), "ls -ld "+dir+or+"use another folder: the same lab up with -state FOLDER")
	}
	return c
}

// checkMemory checks what this machine, and the control group, have left.
func (d *doctor) checkMemory(context.Context) *Check {
	c := newCheck("memory")
	available := d.sys.Stat("/proc/meminfo")["MemAvailable"] << 10
	if available == 0 {
		return c.skip("%s has no /proc/meminfo", runtime.GOOS)
	}
	c.note("%s available", mib(available))
	d.memoryLeft(c, available, "on this machine", "")
	g := d.group()
	if g.Memory > 0 {
		c.note("control group: %s of %s used", mib(g.Used), mib(g.Memory))
		d.memoryLeft(c, g.Memory-g.Used, "in the control group", fmt.Sprintf("its limit is %s", mib(g.Memory)))
	}
	if g.OOMKills > 0 {
		c.warn(fmt.Sprintf("the kernel has killed %s of this control group", plural(g.OOMKills, "process")), "the memory limit was reached", "dmesg | grep -i 'killed process'")
	}
	if now, minute, ok := d.sys.Pressure("memory"); ok && now >= busyMemory {
		c.warn(fmt.Sprintf("processes waited for memory in %.0f%% of the last 10 s, %.0f%% of the last minute", 100*now, 100*minute), "memory is short: pages are read back from disk", "ps -eo pid,rss,comm --sort=-rss | head")
	}
	return c
}

func (d *doctor) memoryLeft(c *Check, left int64, where, cause string) {
	next := "ps -eo pid,rss,comm --sort=-rss | head"
	text := fmt.Sprintf("%s of memory available %s", mib(left), where)
	switch {
	case left < noMemory:
		c.problem(text, strings.TrimPrefix(cause+"; the kernel kills a process when it is used up", "; "), next)
	case left < lowMemory && d.status == nil:
		c.warn(text, strings.TrimPrefix(cause+"; the lab needs up to "+mib(lowMemory), "; "), next)
	}
}

// group are the limits of the lab's processes.
func (d *doctor) group() linux.Group {
	if d.status != nil && d.status.Supervisor.Alive() {
		return d.sys.Group(strconv.Itoa(d.status.Supervisor.PID))
	}
	return d.sys.Group("self")
}

// checkCPU checks whether processes wait for a CPU, or are throttled.
func (d *doctor) checkCPU(context.Context) *Check {
	c := newCheck("cpu")
	now, minute, ok := d.sys.Pressure("cpu")
	load, _ := d.sys.Read("/proc/loadavg")
	f := strings.Fields(load)
	if !ok && len(f) == 0 {
		return c.skip("%s has no /proc/pressure and no /proc/loadavg", runtime.GOOS)
	}
	cpus := runtime.NumCPU()
	c.note("%s", plural(cpus, "CPU"))
	next := "ps -eo pid,pcpu,comm --sort=-pcpu | head"
	cause := "latencies measured now are partly the wait for a CPU"
	if top := d.busiest(); top != "" {
		cause = "busiest: " + top + "; " + cause
	}
	if ok {
		c.note("processes waited for a CPU in %.0f%% of the last 10 s", 100*now)
		if now >= busyCPU {
			c.warn(fmt.Sprintf("CPU saturation: processes waited for one of %s in %.0f%% of the last 10 s, %.0f%% of the last minute", plural(cpus, "CPU"), 100*now, 100*minute), cause, next)
		}
	} else if one, err := strconv.ParseFloat(f[0], 64); err == nil {
		c.note("load average %s", f[0])
		if one > 2*float64(cpus) {
			c.warn(fmt.Sprintf("CPU saturation: load average %s on %s", f[0], plural(cpus, "CPU")), cause, next)
		}
	}
	d.throttled(c)
	return c
}

// throttled reports a CPU limit that binds.
func (d *doctor) throttled(c *Check) {
	g := d.second.group
	if g.CPUs == 0 {
		return
	}
	c.note("limit of the control group: %.2f CPUs", g.CPUs)
	periods, throttled := g.Periods-d.first.group.Periods, g.Throttled-d.first.group.Throttled
	if d.first.group.Path != g.Path || throttled == 0 {
		c.note("throttled in %d of %d periods so far, now in none", g.Throttled, g.Periods)
		return
	}
	f := newFinding(Warning, fmt.Sprintf("the CPU limit of %.2f CPUs throttles the lab: in %d of the last %s", g.CPUs, throttled, plural(periods, "period")),
		"control group "+g.Path, "grep . "+g.Path+"/cpu.*"+or+"send less load, or raise the limit (docker run --cpus, resources.limits.cpu, systemd CPUQuota=)")
	if float64(throttled) >= throttleBad*float64(periods) {
		f.Outcome = Problem
	}
	c.add(f)
}

// busiest names the processes with most CPU time between the samples.
func (d *doctor) busiest() string {
	type use struct {
		name string
		cpu  float64
	}
	var list []use
	elapsed := d.second.at.Sub(d.first.at).Seconds()
	for pid, ticks := range d.second.ticks {
		if before, ok := d.first.ticks[pid]; ok && elapsed > 0 {
			if cpu := float64(ticks-before) / 100 / elapsed; cpu >= 0.1 {
				list = append(list, use{fmt.Sprintf("%s (pid %d)", d.sys.Process(pid).Name(), pid), cpu})
			}
		}
	}
	slices.SortFunc(list, func(a, b use) int { return cmp.Compare(b.cpu, a.cpu) })
	var top []string
	for _, u := range list[:min(len(list), 3)] {
		top = append(top, fmt.Sprintf("%s %.0f%%", u.name, 100*u.cpu))
	}
	return strings.Join(top, ", ")
}

// checkFiles checks the limit of open files, and how many the components have open.
func (d *doctor) checkFiles(context.Context) *Check {
	c := newCheck("open files")
	var own syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &own); err != nil {
		return c.skip("the limit is not known: %v", err)
	}
	// Go programs raise the soft limit to the hard one.
	if own.Max > 1<<40 {
		c.note("no limit")
	} else {
		c.note("limit %d", own.Max)
	}
	if own.Max < lowFiles {
		c.warn(fmt.Sprintf("the limit of open files is %d", own.Max), "each connection is a file: a load test with many connections fails with \"too many open files\"",
			fmt.Sprintf("ulimit -n %d && %s"+or+"raise the hard limit as root: /etc/security/limits.conf, LimitNOFILE= of systemd, docker run --ulimit", 16*lowFiles, d.upCommand("", d.Lab.Offset)))
	}
	for _, p := range d.processes() {
		d.openFiles(c, p.Name, d.sys.Process(p.Process.PID))
	}
	return c
}

func (d *doctor) openFiles(c *Check, name string, p linux.Process) {
	limit := 0
	for line := range strings.Lines(p.Text("limits")) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				limit, _ = strconv.Atoi(f[0]) // 0: unlimited
			}
		}
	}
	fds, err := os.ReadDir(filepath.Join(p.Dir, "fd"))
	if err != nil || limit == 0 {
		return
	}
	if share := float64(len(fds)) / float64(limit); share >= fullFiles {
		c.problem(fmt.Sprintf("%s has %d of %d open files", name, len(fds), limit), "it accepts no connections when all are used: too many connections, or a leak",
			fmt.Sprintf("ls -l /proc/%d/fd | awk '{print $NF}' | cut -d: -f1 | sort | uniq -c | sort -n | tail", p.PID))
	}
}
