package nginx_test

import (
	"net"
	"os"
	"syscall"
	"testing"
)

// socket is one that listens, for another process.
type socket struct {
	addr string
	file *os.File
}

func listen(t *testing.T) *socket {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // the file is another descriptor of it
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &socket{l.Addr().String(), f}
}

// handedOver leaves the socket to the process that was started with it.
func (s *socket) handedOver(t *testing.T) {
	t.Helper()
	// To start it has made the socket one that waits, which an event loop must not do.
	if err := syscall.SetNonblock(int(s.file.Fd()), true); err != nil {
		t.Fatal(err)
	}
	s.file.Close()
}
