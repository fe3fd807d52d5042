package doctor

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"soundcheck/lab/plan"
	"soundcheck/lab/proc"
	"soundcheck/lab/supervisor"
)

// A disk that is nearly full, and one that cannot be written.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	defer syscall.Unmount(dir, 0)
	d := &doctor{Options: Options{Lab: plan.Lab{State: dir}}}
	want(t, *d.checkDisk(t.Context()), Problem, " MiB of disk free in "+dir, "does not start with less than 256 MiB", "du -xh "+dir)
	if err := os.WriteFile(filepath.Join(dir, "full"), make([]byte, 3<<20), 0o600); err == nil {
		t.Error("the disk is not full")
	}
	want(t, *d.checkDisk(t.Context()), Problem, "0 MiB of disk free", "", "")
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	want(t, *d.checkDisk(t.Context()), Problem, "files cannot be created in "+dir, "read-only file system", "ls -ld "+dir)
}

// A control group that throttles a process.
func TestRealThrottling(t *testing.T) {
	t.Parallel()
	busy := exec.Command("sh", "-c", "while :; do :; done")
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { busy.Process.Kill(); busy.Wait() }()
	id, err := proc.Identify(busy.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	name := "soundcheck-doctor-" + strconv.Itoa(os.Getpid())
	files := map[string]string{"/sys/fs/cgroup/cpu/" + name: "cpu.cfs_quota_us=20000", "/sys/fs/cgroup/" + name: "cpu.max=20000 100000"}
	made := ""
	for dir, setting := range files {
		file, value, _ := strings.Cut(setting, "=")
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		defer os.Remove(dir)
		if os.WriteFile(filepath.Join(dir, file), []byte(value), 0o644) == nil && os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(id.PID)), 0o644) == nil {
			made = dir
			break
		}
	}
	if made == "" {
		t.Skip("a control group with a CPU limit cannot be made here")
	}
	defer func() { busy.Process.Kill(); busy.Wait() }() // before the group is removed
	d := fakeLab(t)
	d.status = &supervisor.Status{Supervisor: id}
	d.first = d.sample(t.Context())
	var c *Check
	eventually(t, "the group throttles", func() bool {
		time.Sleep(100 * time.Millisecond)
		d.second = d.sample(t.Context())
		c = d.checkCPU(t.Context())
		return has(*c, Problem, "the CPU limit of 0.20 CPUs throttles the lab", "control group "+made, "") || has(*c, Warning, "the CPU limit of 0.20 CPUs throttles the lab", "control group "+made, "")
	})
}
