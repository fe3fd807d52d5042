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
	if l, err := net.Listen("tcp", ClosedAddr(t)); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listen on a closed address: %v, %v, want a port in use", l, err)
	}
}
