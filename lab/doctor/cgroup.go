package doctor

import (
	"math"
	"path"
	"strconv"
	"strings"
)

// group are the limits of a process' control groups, and what they have cost so far.
type group struct {
	path      string  // of the group that limits the CPU
	cpus      float64 // 0: no limit
	periods   int64   // of the CPU limit
	throttled int64   // periods in which processes had to wait
	memory    int64   // limit in bytes; 0: none
	used      int64   // of memory, without page cache that can be freed
	oomKills  int64
}

// groupOf reads the limits of a process: the lowest of its group and the groups above. Both versions of control groups
// are read: version 2, and version 1 with one hierarchy per controller.
func (d *doctor) groupOf(pid string) (g group) {
	text, err := d.read("/proc/" + pid + "/cgroup")
	if err != nil {
		return g
	}
	for line := range strings.Lines(text) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 {
			continue
		}
		if part[1] == "" { // version 2
			for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
				if _, err := d.read(mount + "/cgroup.controllers"); err == nil {
					d.above(mount, part[2], g.version2(d))
				}
			}
			continue
		}
		for _, controller := range strings.Split(part[1], ",") {
			mount := "/sys/fs/cgroup/" + part[1]
			switch controller {
			case "cpu":
				d.above(mount, part[2], g.cpu1(d))
			case "memory":
				d.above(mount, part[2], g.memory1(d))
			}
		}
	}
	return g
}

// above calls read with a group's folder and those above it. In a container the group can be outside of what is mounted: then the
// mount is the container's own group.
func (d *doctor) above(mount, group string, read func(dir string)) {
	if _, err := d.read(mount + group + "/cgroup.procs"); err != nil {
		group = "/"
	}
	for dir := path.Clean(group); ; dir = path.Dir(dir) {
		read(path.Join(mount, dir))
		if dir == "/" {
			return
		}
	}
}

func (g *group) limitCPU(dir string, cpus float64, stat map[string]int64) {
	if cpus <= 0 || g.cpus != 0 && cpus >= g.cpus {
		return
	}
	g.path, g.cpus, g.periods, g.throttled = dir, cpus, stat["nr_periods"], stat["nr_throttled"]
}

func (g *group) limitMemory(limit, used int64) {
	if limit <= 0 || limit > math.MaxInt64/2 || g.memory != 0 && limit-used >= g.memory-g.used {
		return
	}
	g.memory, g.used = limit, used
}

func (g *group) version2(d *doctor) func(string) {
	return func(dir string) {
		if max, err := d.read(dir + "/cpu.max"); err == nil {
			if f := strings.Fields(max); len(f) == 2 && f[0] != "max" {
				quota, _ := strconv.ParseFloat(f[0], 64)
				period, _ := strconv.ParseFloat(f[1], 64)
				g.limitCPU(dir, quota/period, d.stat(dir+"/cpu.stat"))
			}
		}
		g.limitMemory(d.number(dir+"/memory.max"), d.number(dir+"/memory.current")-d.stat(dir + "/memory.stat")["inactive_file"])
		g.oomKills = max(g.oomKills, d.stat(dir + "/memory.events")["oom_kill"])
	}
}

func (g *group) cpu1(d *doctor) func(string) {
	return func(dir string) {
		quota, period := d.number(dir+"/cpu.cfs_quota_us"), d.number(dir+"/cpu.cfs_period_us")
		if quota > 0 && period > 0 {
			g.limitCPU(dir, float64(quota)/float64(period), d.stat(dir+"/cpu.stat"))
		}
	}
}

func (g *group) memory1(d *doctor) func(string) {
	return func(dir string) {
		g.limitMemory(d.number(dir+"/memory.limit_in_bytes"), d.number(dir+"/memory.usage_in_bytes")-d.stat(dir + "/memory.stat")["total_inactive_file"])
		g.oomKills = max(g.oomKills, d.stat(dir + "/memory.oom_control")["oom_kill"])
	}
}

// number reads a file with one number; 0: there is none.
func (d *doctor) number(name string) int64 {
	text, _ := d.read(name)
	n, _ := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	return n
}

// stat reads a file of lines NAME NUMBER.
func (d *doctor) stat(name string) map[string]int64 {
	found := map[string]int64{}
	text, _ := d.read(name)
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 2 {
			found[strings.TrimSuffix(f[0], ":")], _ = strconv.ParseInt(f[1], 10, 64)
		}
	}
	return found
}

// pressure returns the share of the last 10 s and of the last minute in which a process had to wait for a resource
// (PSI), from 0 to 1. False: the kernel does not measure it.
func (d *doctor) pressure(resource string) (avg10, avg60 float64, ok bool) {
	text, err := d.read("/proc/pressure/" + resource)
	if err != nil {
		return 0, 0, false
	}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "some" {
			continue
		}
		a, err := strconv.ParseFloat(strings.TrimPrefix(f[1], "avg10="), 64)
		b, err2 := strconv.ParseFloat(strings.TrimPrefix(f[2], "avg60="), 64)
		return a / 100, b / 100, err == nil && err2 == nil
	}
	return 0, 0, false
}
