package proc

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// startOf calls ps(1): macOS has no /proc.
func startOf(pid int) (string, error) {
	state, start, _ := strings.Cut(ps(pid, "-o", "state=", "-o", "lstart="), " ")
	if state == "" || strings.HasPrefix(state, "Z") {
		return "", os.ErrProcessDone
	}
	if start = strings.TrimSpace(start); start == "" {
		return "", os.ErrProcessDone
	}
	return start, nil
}

// RSS returns the resident memory of the process in bytes, or 0.
func (id ID) RSS() int64 {
	kib, _ := strconv.ParseInt(ps(id.PID, "-o", "rss="), 10, 64)
	return kib << 10
}

func ps(pid int, columns ...string) string {
	cmd := exec.Command("ps", append(columns, "-p", strconv.Itoa(pid))...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	out, _ := cmd.Output() // no such process: no output
	return strings.TrimSpace(string(out))
}

// Left returns nothing: macOS does not show the environment of processes.
func Left(int, string) []string { return nil }

// GroupRSS is RSS: on macOS, only that of the leader.
func (id ID) GroupRSS() int64 { return id.RSS() }

// members: on macOS, kill(2) does not find zombies.
func members(int) bool { return true }
