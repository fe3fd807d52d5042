package connecttest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// Script is a server that sends a text for each connection's requests, and what it does then.
type Script struct {
	Text  string
	After func(c net.Conn) // nil: it reads the next request
}

// Start starts the server, and returns its address and the number of its connections.
func (s Script) Start(t testing.TB) (string, *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var n atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			go func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					if _, err := io.WriteString(c, s.Text); err != nil {
						return
					}
					if s.After != nil {
						s.After(c)
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String(), &n
}

// Hang leaves a connection open, and sends no more.
func Hang(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// HalfClose ends what the server sends, and leaves the connection open.
func HalfClose(c net.Conn) {
	_ = c.(*net.TCPConn).CloseWrite()
	Hang(c)
}

// Drip sends the rest of a response byte by byte, and closes the connection.
func Drip(text string) func(net.Conn) {
	return func(c net.Conn) {
		for _, b := range []byte(text) {
			_, _ = c.Write([]byte{b})
			time.Sleep(time.Millisecond)
		}
	}
}

// Closed closes a connection.
func Closed(net.Conn) {}
