// Package linux reads the files below /proc and /sys that show processes, sockets, limits and pressure. Other systems
// have none of them: everything is empty there, or an error.
package linux

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// System is this machine, or files that stand for another.
type System struct{ Root string } // before /proc and /sys

// Read reads a file below /proc or /sys.
func (s System) Read(path string) (string, error) {
	b, err := os.ReadFile(s.Root + path)
	return string(b), err
}

// Process is a folder of /proc.
type Process struct {
	Dir string
	PID int
}

func (s System) Process(pid int) Process {
	return Process{fmt.Sprintf("%s/proc/%d", s.Root, pid), pid}
}

// Processes returns the processes of this system that /proc shows.
func (s System) Processes() (list []Process) {
	entries, _ := os.ReadDir(s.Root + "/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			list = append(list, s.Process(pid))
		}
	}
	return list
}

func (p Process) Link(name string) string {
	to, _ := os.Readlink(filepath.Join(p.Dir, name))
	return to
}

func (p Process) Text(name string) string {
	b, _ := os.ReadFile(filepath.Join(p.Dir, name))
	return string(b)
}

// Name is the program's name. The command line can have credentials in it: it is not shown.
func (p Process) Name() string {
	if exe := strings.TrimSuffix(p.Link("exe"), " (deleted)"); exe != "" {
		return filepath.Base(exe)
	}
	if name := strings.TrimSpace(p.Text("comm")); name != "" {
		return name
	}
	return "a process"
}

// Stat returns the fields of /proc/PID/stat that follow the name: field 3 is at 0.
func (p Process) Stat() []string {
	text := p.Text("stat")
	return strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
}

// Ticks returns the CPU time and the start, in hundredths of a second (USER_HZ on every platform of Go).
func (p Process) Ticks() (used, start int64, ok bool) {
	f := p.Stat()
	if len(f) < 20 {
		return 0, 0, false
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	start, err := strconv.ParseInt(f[19], 10, 64)
	return user + system, start, err == nil
}

// Listener is a TCP socket that listens.
type Listener struct {
	Addr  netip.AddrPort
	uid   string
	inode string
}

// Local reports whether it gets what is sent to 127.0.0.1; a socket on [::] does, unless it is for IPv6 only.
func (l Listener) Local() bool {
	a := l.Addr.Addr().Unmap()
	return a.IsUnspecified() || a.Is4() && a.IsLoopback()
}

// Listeners returns the sockets that listen, of this network namespace. The error means that this system does not show them.
func (s System) Listeners() (list []Listener, err error) {
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, e := s.Read(name)
		if e != nil {
			if name == "/proc/net/tcp" {
				return nil, e
			}
			continue // without IPv6
		}
		lines := bufio.NewScanner(strings.NewReader(text))
		for lines.Scan() {
			f := strings.Fields(lines.Text())
			if len(f) < 10 || f[3] != "0A" { // TCP_LISTEN
				continue
			}
			if addr, ok := socketAddr(f[1]); ok {
				list = append(list, Listener{addr, f[7], f[9]})
			}
		}
	}
	return list, nil
}

// socketAddr reads an address such as 0100007F:2382: words in the byte order of the machine, which is little-endian
// on every platform of the lab.
func socketAddr(s string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(b, 4) {
		slices.Reverse(word)
	}
	a, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a, uint16(n)), ok
}

// Owner returns the process that has a socket. ok is false if it belongs to another user.
func (s System) Owner(l Listener) (p Process, ok bool) {
	want := "socket:[" + l.inode + "]"
	for _, p := range s.Processes() {
		fds, _ := os.ReadDir(filepath.Join(p.Dir, "fd"))
		for _, fd := range fds {
			if p.Link("fd/"+fd.Name()) == want {
				return p, true
			}
		}
	}
	return Process{}, false
}

// User is the name of its owner.
func (l Listener) User() string {
	if u, err := user.LookupId(l.uid); err == nil {
		return u.Username
	}
	return l.uid
}

// Environ returns the environment that a process was started with. False: this system does not show it.
func (p Process) Environ() ([]string, bool) {
	b, err := os.ReadFile(filepath.Join(p.Dir, "environ"))
	if err != nil {
		return nil, false
	}
	var list []string
	for kv := range bytes.SplitSeq(bytes.TrimRight(b, "\x00"), []byte{0}) {
		list = append(list, string(kv))
	}
	return list, true
}
