package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"soundcheck/lab/doctor/clients"
	"soundcheck/lab/plan"
)

// taker is a process that has a port.
type taker struct {
	name string // as it is shown
	pid  int
	stop func()
}

// listenElsewhere starts a process that listens on an address. Before each attempt it calls before, which makes the address free.
func listenElsewhere(t *testing.T, addr string, before func()) taker {
	t.Helper()
	for range 200 {
		before()
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sleep", "600")
		cmd.ExtraFiles = []*os.File{f} // it keeps the socket
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		l.Close()
		f.Close()
		stop := func() {
			cmd.Process.Kill()
			cmd.Wait()
		}
		t.Cleanup(stop)
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", cmd.Process.Pid))
		if err != nil {
			t.Skipf("this system does not name processes: %v", err)
		}
		return taker{fmt.Sprintf("%s (pid %d)", filepath.Base(exe), cmd.Process.Pid), cmd.Process.Pid, stop}
	}
	t.Fatalf("%s was never free", addr)
	return taker{}
}

// A port of a lab that is down is named with the process that has it, whatever address that listens on.
func TestPorts(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "0.0.0.0", "[::]"} {
		d := fakeLab(t)
		wantOK(t, *d.checkPorts(t.Context()))
		port := strconv.Itoa(plan.PrometheusPort + d.Lab.Offset)
		if host == "[::]" {
			if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
				continue // no IPv6
			} else {
				l.Close()
			}
		}
		by := listenElsewhere(t, host+":"+port, func() {})
		c := d.checkPorts(t.Context())
		want(t, *c, Problem, "port "+port+" (prometheus) is in use by "+by.name, "", "kill "+strconv.Itoa(by.pid)+or+"use other ports: go run ./lab up -port-offset ")
		if len(c.Findings) != 1 {
			t.Errorf("%+v, want one finding", c)
		}
		by.stop()
		wantOK(t, *d.checkPorts(t.Context()))
	}
}

// Without /proc a port is still known to be in use.
func TestPortsWithoutProc(t *testing.T) {
	d := fakeLab(t)
	d.sys.Root = t.TempDir()
	wantOK(t, *d.checkPorts(t.Context()))
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(plan.ProxyPort+d.Lab.Offset))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	want(t, *d.checkPorts(t.Context()), Problem, " (proxy-service) is in use by a process that "+runtime.GOOS+" does not name", "", "sudo lsof -nP -iTCP:")
}

// The name localhost leads to the lab, to nothing, or to somebody else on ::1.
func TestLocalhost(t *testing.T) {
	d := fakeLab(t)
	resolve := func(addrs ...string) {
		d.lookup = func(_ context.Context, host string) (list []netip.Addr, err error) {
			for _, a := range addrs {
				list = append(list, netip.MustParseAddr(a))
			}
			if host != "localhost" || addrs == nil {
				err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}
			return list, err
		}
	}
	resolve("127.0.0.1")
	wantOK(t, *d.checkLocalhost(t.Context()))
	resolve("::1", "127.0.0.1")
	wantOK(t, *d.checkLocalhost(t.Context()))
	resolve("::1")
	want(t, *d.checkLocalhost(t.Context()), Problem, "localhost does not lead to 127.0.0.1", "it resolves to [::1]", "export OTEL_EXPORTER_OTLP_ENDPOINT="+d.Lab.OTLP())
	resolve()
	want(t, *d.checkLocalhost(t.Context()), Problem, "localhost does not lead to 127.0.0.1", "no such host", "/etc/hosts")

	port := strconv.Itoa(plan.OTLPHTTPPort + d.Lab.Offset)
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skipf("no IPv6: %v", err)
	} else {
		l.Close()
	}
	by := listenElsewhere(t, "[::1]:"+port, func() {})
	resolve("127.0.0.1")
	wantOK(t, *d.checkLocalhost(t.Context()))
	resolve("::1", "127.0.0.1")
	c := d.checkLocalhost(t.Context())
	want(t, *c, Problem, "localhost:"+port+" leads to "+by.name+", not to otel-collector", "localhost is ::1 first", "kill "+strconv.Itoa(by.pid))
	if strings.Contains(d.checkPorts(t.Context()).Text, port) {
		t.Error("a listener on ::1 counts as one on 127.0.0.1")
	}
}

// Ports that the kernel gives to connections are a warning, with an offset that avoids them.
func TestClientPorts(t *testing.T) {
	d := fakeLab(t)
	root := t.TempDir()
	d.sys.Root = root
	set := func(name, text string) {
		path := filepath.Join(root, "proc/sys/net/ipv4", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wantOK(t, *d.checkPorts(t.Context()))     // the range is not known, as on macOS
	high := plan.JaegerAPIPort + d.Lab.Offset // the highest port
	set("ip_local_port_range", fmt.Sprintf("%d\t60999\n", high+1))
	wantOK(t, *d.checkPorts(t.Context()))

	set("ip_local_port_range", fmt.Sprintf("%d\t60999\n", high))
	c := d.checkPorts(t.Context())
	want(t, *c, Warning, fmt.Sprintf("port %d (jaeger) is in the range of ports for outgoing connections, %d to 60999", high, high), "lab up fails", "go run ./lab up")
	w := clients.Ports(d.Lab, d.sys)
	if w == nil || !w.OK || !strings.Contains(w.String(), fmt.Sprintf("; -port-offset %d avoids it", w.Offset)) {
		t.Fatalf("%+v", w)
	}
	moved := d.Lab
	moved.Offset = w.Offset
	if again := clients.Ports(moved, d.sys); again != nil {
		t.Errorf("at -port-offset %d: %v", w.Offset, again)
	}

	set("ip_local_reserved_ports", fmt.Sprintf("1,%d-%d\n", high-1, high))
	wantOK(t, *d.checkPorts(t.Context()))
	set("ip_local_reserved_ports", "\n")
	set("ip_local_port_range", "1024\t65535\n")
	want(t, *d.checkPorts(t.Context()), Warning, " more are in the range of ports for outgoing connections, 1024 to 65535", "", "sudo sysctl -w net.ipv4.ip_local_port_range='32768 60999'")
	set("ip_local_port_range", "no numbers\n")
	wantOK(t, *d.checkPorts(t.Context()))
}
