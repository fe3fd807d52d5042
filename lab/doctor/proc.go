package doctor

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

// Linux shows its processes, sockets and limits as files. On other systems there are none, and the checks say
// what cannot be known.

// read reads a file below /proc or /sys.
func (d *doctor) read(path string) (string, error) {
	b, err := os.ReadFile(d.root + path)
	return string(b), err
}

// process is a folder of /proc.
type process struct {
	dir string
	pid int
}

func (d *doctor) process(pid int) process {
	return process{fmt.Sprintf("%s/proc/%d", d.root, pid), pid}
}

// all returns the processes of this system that /proc shows.
func (d *doctor) all() (list []process) {
	entries, _ := os.ReadDir(d.root + "/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			list = append(list, d.process(pid))
		}
	}
	return list
}

func (p process) link(name string) string {
	to, _ := os.Readlink(filepath.Join(p.dir, name))
	return to
}

func (p process) text(name string) string {
	b, _ := os.ReadFile(filepath.Join(p.dir, name))
	return string(b)
}

// name is the program's name. The command line can have credentials in it: it is not shown.
func (p process) name() string {
	if exe := strings.TrimSuffix(p.link("exe"), " (deleted)"); exe != "" {
		return filepath.Base(exe)
	}
	if name := strings.TrimSpace(p.text("comm")); name != "" {
		return name
	}
	return "a process"
}

// stat returns the fields of /proc/PID/stat that follow the name: field 3 is at 0.
func (p process) stat() []string {
	text := p.text("stat")
	return strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
}

// ticks returns the CPU time and the start, in hundredths of a second (USER_HZ on every platform of Go).
func (p process) ticks() (used, start int64, ok bool) {
	f := p.stat()
	if len(f) < 20 {
		return 0, 0, false
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	start, err := strconv.ParseInt(f[19], 10, 64)
	return user + system, start, err == nil
}

// listener is a TCP socket that listens.
type listener struct {
	addr  netip.AddrPort
	uid   string
	inode string
}

// local reports whether it gets what is sent to 127.0.0.1; a socket on [::] does, unless it is for IPv6 only.
func (l listener) local() bool {
	a := l.addr.Addr().Unmap()
	return a.IsUnspecified() || a.Is4() && a.IsLoopback()
}

// listeners returns the sockets that listen, of this network namespace. The error means that this system does not show them.
func (d *doctor) listeners() (list []listener, err error) {
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, e := d.read(name)
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
				list = append(list, listener{addr, f[7], f[9]})
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

// owner returns the process that has a socket. ok is false if it belongs to another user.
func (d *doctor) owner(l listener) (p process, ok bool) {
	want := "socket:[" + l.inode + "]"
	for _, p := range d.all() {
		fds, _ := os.ReadDir(filepath.Join(p.dir, "fd"))
		for _, fd := range fds {
			if p.link("fd/"+fd.Name()) == want {
				return p, true
			}
		}
	}
	return process{}, false
}

func userName(uid string) string {
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return uid
}

// environ returns the environment that a process was started with. False: this system does not show it.
func (p process) environ() ([]string, bool) {
	b, err := os.ReadFile(filepath.Join(p.dir, "environ"))
	if err != nil {
		return nil, false
	}
	var list []string
	for kv := range bytes.SplitSeq(bytes.TrimRight(b, "\x00"), []byte{0}) {
		list = append(list, string(kv))
	}
	return list, true
}
