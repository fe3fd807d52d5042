package linux

import (
	"math"
	"path"
	"strconv"
	"strings"
)

// Group are the limits of a process' control groups, and what they have cost so far.
type Group struct {
	Path      string  // of the group that limits the CPU
	CPUs      float64 // 0: no limit
	Periods   int64   // of the CPU limit
	Throttled int64   // periods in which processes had to wait
	Memory    int64   // limit in bytes; 0: none
	Used      int64   // of memory, without page cache that can be freed
	OOMKills  int64
}

// Group reads the limits of a process: the lowest of its group and the groups above. Both versions of control groups
// are read: version 2, and version 1 with one hierarchy per controller.
func (s System) Group(pid string) (g Group) {
	text, err := s.Read("/proc/" + pid + "/cgroup")
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
				if _, err := s.Read(mount + "/cgroup.controllers"); err == nil {
					s.above(mount, part[2], g.version2(s))
				}
			}
			continue
		}
		for _, controller := range strings.Split(part[1], ",") {
			mount := "/sys/fs/cgroup/" + part[1]
			switch controller {
			case "cpu":
				s.above(mount, part[2], g.cpu1(s))
			case "memory":
				s.above(mount, part[2], g.memory1(s))
			}
		}
	}
	return g
}

// above calls read with a group's folder and those above it. In a container the group can be outside of what is mounted: then the
// mount is the container's own group.
func (s System) above(mount, group string, read func(dir string)) {
	if _, err := s.Read(mount + group + "/cgroup.procs"); err != nil {
		group = "/"
	}
	for dir := path.Clean(group); ; dir = path.Dir(dir) {
		read(path.Join(mount, dir))
		if dir == "/" {
			return
		}
	}
}

func (g *Group) limitCPU(dir string, cpus float64, stat map[string]int64) {
	if cpus <= 0 || g.CPUs != 0 && cpus >= g.CPUs {
		return
	}
	g.Path, g.CPUs, g.Periods, g.Throttled = dir, cpus, stat["nr_periods"], stat["nr_throttled"]
}

func (g *Group) limitMemory(limit, used int64) {
	if limit <= 0 || limit > math.MaxInt64/2 || g.Memory != 0 && limit-used >= g.Memory-g.Used {
		return
	}
	g.Memory, g.Used = limit, used
}

func (g *Group) version2(s System) func(string) {
	return func(dir string) {
		if max, err := s.Read(dir + "/cpu.max"); err == nil {
			if f := strings.Fields(max); len(f) == 2 && f[0] != "max" {
				quota, _ := strconv.ParseFloat(f[0], 64)
				period, _ := strconv.ParseFloat(f[1], 64)
				g.limitCPU(dir, quota/period, s.Stat(dir+"/cpu.stat"))
			}
		}
		g.limitMemory(s.number(dir+"/memory.max"), s.number(dir+"/memory.current")-s.Stat(dir + "/memory.stat")["inactive_file"])
		g.OOMKills = max(g.OOMKills, s.Stat(dir + "/memory.events")["oom_kill"])
	}
}

func (g *Group) cpu1(s System) func(string) {
	return func(dir string) {
		quota, period := s.number(dir+"/cpu.cfs_quota_us"), s.number(dir+"/cpu.cfs_period_us")
		if quota > 0 && period > 0 {
			g.limitCPU(dir, float64(quota)/float64(period), s.Stat(dir+"/cpu.stat"))
		}
	}
}

func (g *Group) memory1(s System) func(string) {
	return func(dir string) {
		g.limitMemory(s.number(dir+"/memory.limit_in_bytes"), s.number(dir+"/memory.usage_in_bytes")-s.Stat(dir + "/memory.stat")["total_inactive_file"])
		g.OOMKills = max(g.OOMKills, s.Stat(dir + "/memory.oom_control")["oom_kill"])
	}
}

// number reads a file with one number; 0: there is none.
func (s System) number(name string) int64 {
	text, _ := s.Read(name)
	n, _ := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	return n
}

// Stat reads a file of lines NAME NUMBER.
func (s System) Stat(name string) map[string]int64 {
	found := map[string]int64{}
	text, _ := s.Read(name)
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 2 {
			found[strings.TrimSuffix(f[0], ":")], _ = strconv.ParseInt(f[1], 10, 64)
		}
	}
	return found
}

// Pressure returns the share of the last 10 s and of the last minute in which a process had to wait for a resource
// (PSI), from 0 to 1. False: the kernel does not measure it.
func (s System) Pressure(resource string) (avg10, avg60 float64, ok bool) {
	text, err := s.Read("/proc/pressure/" + resource)
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
