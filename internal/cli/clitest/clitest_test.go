package clitest

import (
	"errors"
	"net"
	"runtime"
	"syscall"
	"testing"
)

// A reserved address refuses connections, can be listened on again and again, and is taken for everybody else.
func TestFreeAddr(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux lets a listener share the port of another socket")
	}
	addr := FreeAddr(t)
	for range 2 {
		if c, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("dial: %v, %v, want a refused connection", c, err)
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		l.Close()
	}
	at, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	client := net.Dialer{LocalAddr: at} // sets no SO_REUSEADDR
	if c, err := client.Dial("tcp", addr); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("dial from the reserved port: %v, %v, want a port in use", c, err)
	}
}

// A closed address refuses connections, and is taken for everybody.
func TestClosedAddr(t *testing.T) {
	t.Parallel()
	addr := ClosedAddr(t)
	if c, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v, %v, want a refused connection", c, err)
	}
	if l, err := net.Listen("tcp", addr); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listen: %v, %v, want a port in use", l, err)
	}
}

// A reservation that fails can be released all the same.
func TestReserveFails(t *testing.T) { // not parallel: no file can be opened meanwhile
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	none := old
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	_, release, err := Reserve()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.EMFILE) {
		t.Errorf("Reserve = %v, want %v", err, syscall.EMFILE)
	}
	release()
}
