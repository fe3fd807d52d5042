package engine

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/http1"
)

// Endless response headers are cut off at the limit. Long headers and bodies are read completely.
func TestLongHead(t *testing.T) {
	t.Parallel()
	header := "X: " + strings.Repeat("x", 1<<16) + "\r\n"
	hint := "HTTP/1.1 103 Early Hints\r\n" + header + "\r\n"
	for _, tt := range []struct {
		name, begin, repeat string
		times               int // of repeat; 0: endless
		end                 string
		want                error
	}{
		{"no end", "HTTP/1.1 200 OK\r\n", header, 0, "", http1.ErrLongHead},
		{"one line without an end", "HTTP/1.1 200 OK\r\nX: ", strings.Repeat("x", 1<<16), 0, "", http1.ErrLongHead},
		{"hints without an end", "", hint, 0, "", http1.ErrLongHead},
		{"long headers", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", header, 20, "\r\nok", nil},
		{"a long body", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 300*len(header)), header, 300, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			var sent atomic.Int64
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
						return
					}
					write := func(s string) bool {
						n, err := io.WriteString(c, s)
						sent.Add(int64(n))
						return err == nil
					}
					write(tt.begin)
					for i := 0; (tt.times == 0 || i < tt.times) && write(tt.repeat); i++ {
					}
					write(tt.end)
				}
			}()
			p := NewPool(1, connect.Options{})
			defer p.Close()
			resp, _, _, err := send(t, p, http.MethodGet, "http://"+l.Addr().String()+"/", "", time.Minute)
			if !errors.Is(err, tt.want) || tt.want == nil && (err != nil || resp.StatusCode != http.StatusOK) {
				t.Errorf("%v, %v, want %v", resp, err, tt.want)
			}
			if tt.want != nil && sent.Load() > 8*http1.MaxHead { // with what the network buffers
				t.Errorf("%d bytes were taken", sent.Load())
			}
		})
	}
}
