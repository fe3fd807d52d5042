package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

var bootID = sync.OnceValue(func() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // start times alone still distinguish processes of one boot
	}
	return string(bytes.TrimSpace(b))
})

// startOf reads field 22 of /proc/PID/stat (proc_pid_stat(5)). A zombie counts
// as gone: it is only waiting to be reaped.
func startOf(pid int) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	return startIn(pid, b)
}

func startIn(pid int, b []byte) (string, error) {
	// The name in field 2 may hold blanks and parentheses; what follows it may not.
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 20 {
		return "", fmt.Errorf("/proc/%d/stat: %d fields", pid, len(f))
	}
	if !running(f) {
		return "", os.ErrProcessDone
	}
	return bootID() + "/" + string(f[19]), nil
}

// running reports whether a process with these fields of its stat, from the third on, runs.
func running(f [][]byte) bool {
	// The main thread can end before the others. As long as there are any, the
	// process has its files, and listens on its ports.
	threads, err := strconv.Atoi(string(f[17]))
	state := f[0][0]
	return err != nil || threads > 1 || state != 'Z' && state != 'X'
}

// members reports whether a process of the group runs. kill(2) also finds zombies, which stay in a
// container whose first process reaps none.
func members(group int) bool { return len(pids(group)) > 0 }

// pids returns the running processes of a group.
func pids(group int) (list []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	want := strconv.Itoa(group)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // gone meanwhile
		}
		f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && len(f) >= 20 && string(f[2]) == want && running(f) {
			list = append(list, pid)
		}
	}
	return list
}

// Left returns what a group that has been stopped left running: processes with a variable in their environment, which have
// left the group, and members of the group that belong to other users, as with sudo.
func Left(group int, variable string) (list []string) {
	found := pids(group)
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		environ, err := os.ReadFile(file)
		pid, err2 := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && err2 == nil && bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+variable+"\x00")) {
			found = append(found, pid)
		}
	}
	for _, pid := range found {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if _, gone := startOf(pid); err == nil && gone == nil {
			list = append(list, fmt.Sprintf("%s (pid %d)", bytes.TrimSpace(name), pid))
		}
	}
	return list
}

// GroupRSS returns the resident memory of the group that the process leads.
func (id ID) GroupRSS() (sum int64) {
	for _, pid := range pids(id.PID) {
		sum += ID{PID: pid}.RSS()
	}
	return sum
}

// RSS returns the resident memory of the process in bytes, or 0.
func (id ID) RSS() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", id.PID))
	if err != nil {
		return 0
	}
	f := bytes.Fields(b)
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(f[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}
