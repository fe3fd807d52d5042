// Package clitest has what tests of programs need.
package clitest

import (
	"bytes"
	"fmt"
	"regexp"
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
func ClosedAddr(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	addr, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", addr.(*syscall.SockaddrInet4).Port)
}
