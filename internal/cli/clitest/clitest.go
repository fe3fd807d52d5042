// Package clitest has what tests of programs need.
package clitest

import (
	"bytes"
	"fmt"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Output is what a program writes. It can be read while the program runs.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String returns what has been written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

var listening = regexp.MustCompile(`"msg":"listening".*"address":"([^"]+)"`)

// Addresses returns where the program listens, as its log says.
func (o *Output) Addresses() (list []string) {
	for _, m := range listening.FindAllStringSubmatch(o.String(), -1) {
		list = append(list, m[1])
	}
	return list
}

// Listening waits until the program listens on so many addresses, and returns them.
func (o *Output) Listening(t testing.TB, n int) []string {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if list := o.Addresses(); len(list) >= n {
			return list
		}
	}
	t.Fatalf("it does not listen: %s", o.String())
	return nil
}

// ClosedAddr returns an address on which nothing listens. Its port is taken until the test
// ends, so that no other test gets it.
func ClosedAddr(t testing.TB) string {
	t.Helper()
	return reserved(t, false)
}

// FreeAddr returns an address for a program that the test starts, perhaps several times. See Reserve.
func FreeAddr(t testing.TB) string {
	t.Helper()
	return reserved(t, true)
}

func reserved(t testing.TB, share bool) string {
	t.Helper()
	addr, release, err := reserve(share)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return addr
}

// Reserve returns an address for a program to listen on. Until release is called, Linux gives its port to no other
// socket that asks for any port, of a listener or of a client. A closed listener would leave it to the next socket.
// release is never nil.
func Reserve() (addr string, release func(), err error) { return reserve(true) }

// reserve binds a socket that does not listen. With SO_REUSEADDR, which Go and servers set, Linux lets another socket
// listen on its port.
func reserve(share bool) (addr string, release func(), err error) {
	syscall.ForkLock.RLock() // a process that another test starts must not inherit it
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return "", func() {}, err
	}
	release = sync.OnceFunc(func() { _ = syscall.Close(fd) })
	if share {
		err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	}
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var name syscall.Sockaddr
	if err == nil {
		name, err = syscall.Getsockname(fd)
	}
	if err != nil {
		release()
		return "", release, err
	}
	if share && runtime.GOOS != "linux" {
		release() // no other socket could listen there
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port), release, nil
}
