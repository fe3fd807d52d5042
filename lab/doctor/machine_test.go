package doctor

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"soundcheck/lab/doctor/linux"
	"soundcheck/lab/plan"
	"soundcheck/lab/proc"
	"soundcheck/lab/supervisor"
)

// system writes files below a root that stands for / of another machine.
func system(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const quiet = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"

func busy(avg10 string) string { return strings.Replace(quiet, "0.00", avg10, 1) }

func TestMemory(t *testing.T) {
	t.Parallel()
	const gib, plenty = 1 << 20, "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n" // in kB
	version2 := func(files map[string]string) map[string]string {
		all := map[string]string{"proc/meminfo": plenty, "proc/pressure/memory": quiet, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/cgroup.controllers": "cpu memory", "sys/fs/cgroup/a/b/cgroup.procs": ""}
		for name, text := range files {
			all[name] = text
		}
		return all
	}
	for name, tt := range map[string]struct {
		files       map[string]string
		outcome     Outcome
		text, cause string
	}{
		"plenty":          {version2(nil), OK, "4096 MiB available", ""},
		"low":             {version2(map[string]string{"proc/meminfo": fmt.Sprintf("MemAvailable: %d kB", gib/2)}), Warning, "512 MiB of memory available on this machine", "the lab needs up to 1024 MiB"},
		"none":            {version2(map[string]string{"proc/meminfo": "MemAvailable: 100000 kB"}), Problem, "97 MiB of memory available on this machine", "the kernel kills"},
		"pressure":        {version2(map[string]string{"proc/pressure/memory": busy("30.00")}), Warning, "waited for memory in 30% of the last 10 s", ""},
		"limit of group":  {version2(map[string]string{"sys/fs/cgroup/a/memory.max": "536870912", "sys/fs/cgroup/a/memory.current": "500000000", "sys/fs/cgroup/a/memory.stat": "anon 1\ninactive_file 100000000\n"}), Problem, "130 MiB of memory available in the control group", "its limit is 512 MiB"},
		"no limit":        {version2(map[string]string{"sys/fs/cgroup/a/memory.max": "max", "sys/fs/cgroup/a/memory.current": "500000000"}), OK, "4096 MiB available", ""},
		"killed":          {version2(map[string]string{"sys/fs/cgroup/a/memory.events": "oom 2\noom_kill 2\n"}), Warning, "the kernel has killed 2 processes", ""},
		"limit in v1":     {map[string]string{"proc/meminfo": plenty, "proc/self/cgroup": "4:memory:/a\n", "sys/fs/cgroup/memory/a/cgroup.procs": "", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "209715200", "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "0"}, Problem, "200 MiB of memory available in the control group", ""},
		"none in v1":      {map[string]string{"proc/meminfo": plenty, "proc/self/cgroup": "4:memory:/a\n", "sys/fs/cgroup/memory/cgroup.procs": "", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}, OK, "4096 MiB available", ""},
		"another machine": {nil, Skipped, "has no /proc/meminfo", ""},
	} {
		d := &doctor{Options: Options{sys: linux.System{Root: system(t, tt.files)}}}
		c := d.checkMemory(t.Context())
		if c.Outcome != tt.outcome || len(c.Findings) == 0 && !strings.Contains(c.Text, tt.text) || len(c.Findings) > 0 && !has(*c, tt.outcome, tt.text, tt.cause, "") {
			t.Errorf("%s: %+v, want %s %q, cause %q", name, c, tt.outcome, tt.text, tt.cause)
		}
	}
}

func TestCPU(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		files   map[string]string
		outcome Outcome
		text    string
	}{
		"idle":              {map[string]string{"proc/pressure/cpu": quiet, "proc/loadavg": "99 1 1 1/1 1"}, OK, "in 0% of the last 10 s"},
		"saturated":         {map[string]string{"proc/pressure/cpu": busy("75.00"), "proc/loadavg": "1 1 1 1/1 1"}, Warning, "in 75% of the last 10 s"},
		"idle without PSI":  {map[string]string{"proc/loadavg": "0.10 1 1 1/1 1"}, OK, "load average 0.10"},
		"saturated without": {map[string]string{"proc/loadavg": "9999.5 1 1 1/1 1"}, Warning, "load average 9999.5"},
		"another machine":   {nil, Skipped, "has no /proc/pressure"},
	} {
		d := &doctor{Options: Options{sys: linux.System{Root: system(t, tt.files)}}}
		c := d.checkCPU(t.Context())
		if c.Outcome != tt.outcome || !strings.Contains(c.Text+fmt.Sprint(c.Findings), tt.text) {
			t.Errorf("%s: %+v, want %s %q", name, c, tt.outcome, tt.text)
		}
	}
	// The processes that use the CPU are named.
	d := &doctor{Options: Options{sys: linux.System{Root: system(t, map[string]string{"proc/pressure/cpu": busy("75.00"), "proc/loadavg": "1", "proc/7/comm": "compile\n"})}}}
	now := time.Now()
	d.first, d.second = sample{at: now.Add(-time.Second), ticks: map[int]int64{7: 100, 8: 5}}, sample{at: now, ticks: map[int]int64{7: 190, 8: 6}}
	want(t, *d.checkCPU(t.Context()), Warning, "CPU saturation", "busiest: compile (pid 7) 90%; ", "ps -eo")
}

// Limits of both versions of control groups; the lowest of a group and those above it counts.
func TestThrottled(t *testing.T) {
	t.Parallel()
	version2 := func(periods, throttled int) map[string]string {
		return map[string]string{"proc/pressure/cpu": quiet, "proc/loadavg": "0", "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/cgroup.controllers": "cpu", "sys/fs/cgroup/a/b/cgroup.procs": "",
			"sys/fs/cgroup/a/b/cpu.max": "max 100000", "sys/fs/cgroup/a/cpu.max": "50000 100000", "sys/fs/cgroup/cpu.max": "400000 100000",
			"sys/fs/cgroup/a/cpu.stat": fmt.Sprintf("usage_usec 1\nnr_periods %d\nnr_throttled %d\n", periods, throttled)}
	}
	version1 := func(periods, throttled int) map[string]string {
		return map[string]string{"proc/pressure/cpu": quiet, "proc/loadavg": "0", "proc/self/cgroup": "3:cpu,cpuacct:/outside\n", "sys/fs/cgroup/cpu,cpuacct/cgroup.procs": "",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
			"sys/fs/cgroup/cpu,cpuacct/cpu.stat": fmt.Sprintf("nr_periods %d\nnr_throttled %d\nthrottled_time 5\n", periods, throttled)}
	}
	for _, files := range []func(periods, throttled int) map[string]string{version2, version1} {
		for throttled, outcome := range map[int]Outcome{0: OK, 1: Warning, 9: Problem} {
			d := &doctor{Options: Options{sys: linux.System{Root: system(t, files(100, 20))}}}
			d.first = sample{group: d.group()}
			d.sys.Root = system(t, files(110, 20+throttled))
			d.second = sample{group: d.group()}
			c := d.checkCPU(t.Context())
			if c.Outcome != outcome || !strings.Contains(c.Text, "limit of the control group: 0.50 CPUs") {
				t.Errorf("%+v, want %s", c, outcome)
			}
			if throttled > 0 {
				want(t, *c, outcome, fmt.Sprintf("the CPU limit of 0.50 CPUs throttles the lab: in %d of the last 10 periods", throttled), "control group /sys/fs/cgroup/", "CPUQuota=")
			}
		}
	}
}

// Without a disk, the folder above is looked at.
func TestDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := &doctor{Options: Options{Lab: plan.Lab{State: filepath.Join(dir, "not", "yet")}}}
	c := d.checkDisk(t.Context())
	if c.Outcome == Skipped || !strings.Contains(c.Text, " free in "+dir+"; no folder "+filepath.Join(dir, "not", "yet")+" yet: lab up creates it") {
		t.Errorf("%+v", c)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
		t.Errorf("the check left %v, %v", list, err)
	}
	if os.Geteuid() == 0 {
		return // may write everywhere
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	want(t, *d.checkDisk(t.Context()), Problem, "files cannot be created in "+dir, "permission denied", "ls -ld "+dir)
}

// A process that has opened nearly as many files as it may.
func TestOpenFiles(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skipf("this system has no /proc: %v", err)
	}
	for limit, outcome := range map[int]Outcome{10: Problem, 1000: OK} {
		cmd := exec.Command("sh", "-c", fmt.Sprintf("ulimit -n %d; exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null 7</dev/null 8</dev/null; echo; exec sleep 600", limit))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { cmd.Process.Kill(); cmd.Wait() }()
		out.Read(make([]byte, 1)) // the files are open
		id, err := proc.Identify(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		d := fakeLab(t)
		d.status = &supervisor.Status{Components: []supervisor.ComponentStatus{{Name: "album-store", Process: id}}}
		c := d.checkFiles(t.Context())
		if c.Outcome != outcome && c.Outcome != Warning { // the limit of the tests can be low
			t.Errorf("%+v, want %s", c, outcome)
		}
		if outcome == Problem {
			want(t, *c, Problem, " of 10 open files", "a leak", "ls -l /proc/"+strconv.Itoa(id.PID)+"/fd")
		}
	}
}

func TestFileLimit(t *testing.T) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	d := fakeLab(t)
	if c := d.checkFiles(t.Context()); old.Max >= lowFiles {
		wantOK(t, *c)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("DOCTOR_LOW_LIMIT") != "" {
		want(t, *d.checkFiles(t.Context()), Warning, "the limit of open files is 512", "too many open files", "ulimit -n ")
		return
	}
	cmd := exec.Command("sh", "-c", "ulimit -n 512 && exec \"$0\" -test.run=^TestFileLimit$", exe)
	cmd.Env = append(os.Environ(), "DOCTOR_LOW_LIMIT=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The clock was set after the lab started, or differs on the machine of an external store.
func TestClock(t *testing.T) {
	t.Parallel()
	self, err := proc.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	d := fakeLab(t)
	_, start, ok := d.sys.Process(self.PID).Ticks()
	uptime, err := strconv.ParseFloat(firstWord(mustRead(t, "/proc/uptime")), 64)
	if !ok || err != nil {
		t.Skip("this system has no /proc")
	}
	begun := time.Now().Add(-time.Duration((uptime - float64(start)/100) * float64(time.Second)))
	for jump, text := range map[time.Duration]string{0: "", time.Second: "", time.Hour: "set forward by 1h0m0s", -90 * time.Second: "set back by 1m30s"} {
		d.status = &supervisor.Status{Components: []supervisor.ComponentStatus{{Process: self, Since: begun.Add(-jump)}}}
		c := d.checkClock(t.Context())
		if text == "" {
			wantOK(t, *c)
		} else {
			want(t, *c, Warning, "the clock was "+text, "NTP", "go run ./lab up -again")
		}
	}
	d.status = &supervisor.Status{}
	for offset, text := range map[time.Duration]string{0: "", time.Minute: "is 1m0s ahead", -time.Hour: "is 1h0m0s behind"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(offset).UTC().Format(http.TimeFormat))
		}))
		d.Lab.Stores = []string{s.URL}
		c := d.checkClock(t.Context())
		if s.Close(); text == "" {
			wantOK(t, *c)
		} else {
			want(t, *c, Problem, "the clock of "+s.URL+" "+text, "", "timedatectl set-ntp true")
		}
	}
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("this system has no %s", path)
	}
	return string(b)
}
