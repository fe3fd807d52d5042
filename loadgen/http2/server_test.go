package http2

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	frames "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"soundcheck/loadgen/connect"
)

// session is a server's side of a connection, frame by frame.
type session struct {
	*frames.Framer
	net.Conn
	number int // of the connection, from 1
	block  bytes.Buffer
	hpack  *hpack.Encoder
}

// request reads frames up to a request's HEADERS, and returns its stream.
func (s *session) request() (uint32, error) {
	for {
		f, err := s.ReadFrame()
		if err != nil {
			return 0, err
		}
		if h, ok := f.(*frames.HeadersFrame); ok {
			return h.StreamID, nil
		}
	}
}

func (s *session) head(stream uint32, end bool, fields ...string) error {
	s.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = s.hpack.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return s.WriteHeaders(frames.HeadersFrameParam{StreamID: stream, BlockFragment: s.block.Bytes(), EndStream: end, EndHeaders: true})
}

// serve runs a session for each connection, and closes that after it.
func serve(t *testing.T, run func(*session) error) (url string, connections *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	connections = new(atomic.Int64)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := int(connections.Add(1))
			go func() {
				defer c.Close()
				if _, err := io.ReadFull(c, make([]byte, len(frames.ClientPreface))); err != nil {
					return
				}
				s := &session{Framer: frames.NewFramer(c, c), Conn: c, number: n}
				s.hpack = hpack.NewEncoder(&s.block)
				if s.WriteSettings() == nil {
					_ = run(s) // the client ends the connection
				}
			}()
		}
	}()
	return "http://" + l.Addr().String(), connections
}

// What a server must not do is an error that says so, and never a wait until the deadline.
func TestInvalidResponses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		respond func(s *session, stream uint32) error
		want    string
	}{
		{"HTTP/1", func(s *session, _ uint32) error {
			_, err := io.WriteString(s.Conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			return err
		}, "the server does not support HTTP/2: it responds with HTTP/1"},
		{"no frames", func(s *session, _ uint32) error {
			_, err := io.WriteString(s.Conn, "\xff\xff\xff\xff\xff\xff\xff\xff\xff")
			return err
		}, "frame too large"},
		{"end of the connection", func(s *session, _ uint32) error { return hangUp(s) }, "EOF"},
		{"end in the body", func(s *session, id uint32) error {
			return errors.Join(s.head(id, false, ":status", "200"), s.WriteData(id, false, []byte("x")), hangUp(s))
		}, "EOF"},
		{"data first", func(s *session, id uint32) error { return s.WriteData(id, true, []byte("x")) }, "PROTOCOL_ERROR"},
		{"no status", func(s *session, id uint32) error { return s.head(id, true, "x", "y") }, "PROTOCOL_ERROR"},
		{"a status that is no number", func(s *session, id uint32) error { return s.head(id, true, ":status", "ok") }, "PROTOCOL_ERROR"},
		{"informational at the end", func(s *session, id uint32) error { return s.head(id, true, ":status", "103") }, "PROTOCOL_ERROR"},
		{"invalid name of a header", func(s *session, id uint32) error { return s.head(id, true, ":status", "200", "Upper", "case") }, "PROTOCOL_ERROR"},
		{"a length that is no number", func(s *session, id uint32) error {
			return s.head(id, true, ":status", "200", "content-length", "-1")
		}, "PROTOCOL_ERROR"},
		{"less than the length", func(s *session, id uint32) error {
			return errors.Join(s.head(id, false, ":status", "200", "content-length", "3"), s.WriteData(id, true, []byte("ab")))
		}, "unexpected EOF"},
		{"more than the length", func(s *session, id uint32) error {
			return errors.Join(s.head(id, false, ":status", "200", "content-length", "1"), s.WriteData(id, true, []byte("ab")))
		}, "PROTOCOL_ERROR"},
		{"header in the body", func(s *session, id uint32) error {
			return errors.Join(s.head(id, false, ":status", "200"), s.head(id, false, "x", "y"))
		}, "PROTOCOL_ERROR"},
		{"push", func(s *session, id uint32) error {
			return s.WritePushPromise(frames.PushPromiseParam{StreamID: id, PromiseID: 2, BlockFragment: []byte{0x82}, EndHeaders: true})
		}, "PROTOCOL_ERROR"},
		{"reset", func(s *session, id uint32) error { return s.WriteRSTStream(id, frames.ErrCodeRefusedStream) }, "REFUSED_STREAM"},
		{"reset in the body", func(s *session, id uint32) error {
			return errors.Join(s.head(id, false, ":status", "200"), s.WriteRSTStream(id, frames.ErrCodeInternal))
		}, "INTERNAL_ERROR"},
		{"not processed", func(s *session, _ uint32) error { return s.WriteGoAway(0, frames.ErrCodeNo, nil) }, "GOAWAY with NO_ERROR"},
		{"calm down", func(s *session, id uint32) error {
			return s.WriteGoAway(id, frames.ErrCodeEnhanceYourCalm, []byte("slow"))
		}, `GOAWAY with ENHANCE_YOUR_CALM "slow"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url, connections := serve(t, func(s *session) error {
				id, err := s.request()
				if err != nil {
					return err
				}
				return tt.respond(s, id)
			})
			c := New(connect.Options{}.Dialer(), 8)
			defer c.Close()
			if _, text, err := send(t, c, "GET", url, ""); err == nil || connect.IsTimeout(err) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%q, %v, want an error with %q", text, err, tt.want)
			}
			if n := connections.Load(); n != 1 {
				t.Errorf("%d connections: a new one is not stale", n)
			}
		})
	}
}

// Headers have a limit, over all frames of CONTINUATION.
func TestLongHeader(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, func(s *session) error {
		id, err := s.request()
		if err != nil {
			return err
		}
		s.block.Reset()
		_ = s.hpack.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
		err = s.WriteHeaders(frames.HeadersFrameParam{StreamID: id, BlockFragment: s.block.Bytes()})
		for range maxHead/10_000 + 10 {
			s.block.Reset()
			_ = s.hpack.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("~", 10_000), Sensitive: true})
			err = errors.Join(err, s.WriteContinuation(id, false, s.block.Bytes()))
		}
		return errors.Join(err, s.WriteContinuation(id, true, nil), wait(s))
	})
	c := New(connect.Options{}.Dialer(), 8)
	defer c.Close()
	if _, _, err := send(t, c, "GET", url, ""); !errors.Is(err, ErrLongHead) {
		t.Errorf("%v, want %v", err, ErrLongHead)
	}
}

// Frames that a server may send at any time change nothing.
func TestOtherFrames(t *testing.T) {
	t.Parallel()
	pong := make(chan [8]byte, 1)
	url, connections := serve(t, func(s *session) error {
		for {
			id, err := s.request()
			if err != nil {
				return err
			}
			if err := errors.Join(
				s.WriteSettings(frames.Setting{ID: frames.SettingHeaderTableSize, Val: 0}, frames.Setting{ID: 0x99, Val: 1}),
				s.WritePing(false, [8]byte{1, 2}),
				s.WriteRawFrame(0x77, 0, id, []byte("unknown")),
				s.WritePriority(id, frames.PriorityParam{Weight: 3}),
				s.WriteRSTStream(id+2, frames.ErrCodeCancel), // of a stream that is not there
				s.head(id, false, ":status", "200"),
				s.WriteDataPadded(id, false, []byte("ab"), make([]byte, 50)),
				s.WriteData(id, false, nil),
				s.WriteSettings(),
				s.WriteData(id, true, []byte("c")),
			); err != nil {
				return err
			}
			for {
				f, err := s.ReadFrame()
				if err != nil {
					return err
				}
				if p, ok := f.(*frames.PingFrame); ok && p.IsAck() {
					select {
					case pong <- p.Data:
					default:
					}
					break
				}
			}
		}
	})
	c := New(connect.Options{}.Dialer(), 8)
	defer c.Close()
	for range 3 {
		if _, text, err := send(t, c, "GET", url, ""); err != nil || text != "abc" {
			t.Errorf("%q, %v", text, err)
		}
	}
	if p := <-pong; p != [8]byte{1, 2} {
		t.Errorf("pong %v", p)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// The length of a response that has no body is that of a GET.
func TestNoBody(t *testing.T) {
	t.Parallel()
	status := map[string]string{"HEAD": "200", "GET": "304"}
	methods := make(chan string, len(status))
	url, connections := serve(t, func(s *session) error {
		for {
			id, err := s.request()
			if err != nil {
				return err
			}
			if err := errors.Join(s.head(id, false, ":status", status[<-methods], "content-length", "9"), s.WriteData(id, true, nil)); err != nil {
				return err
			}
		}
	})
	c := New(connect.Options{}.Dialer(), 8)
	defer c.Close()
	for method := range status {
		methods <- method
		if _, text, err := send(t, c, method, url, ""); err != nil || text != "" {
			t.Errorf("%s: %q, %v", method, text, err)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// Fields of HTTP/1.1's connections are not sent, however they are written.
func TestConnectionFields(t *testing.T) {
	t.Parallel()
	list, c := servers(t, shapes)
	for _, s := range list {
		req := request(t, "GET", s.URL+"/", "")
		for _, name := range []string{"connection", "Keep-Alive", "PROXY-CONNECTION", "upgrade"} {
			req.Header[name] = []string{"keep-alive"}
		}
		var tm connect.Times
		resp, err := c.Send(t.Context(), req, time.Now().Add(30*time.Second), &tm)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%d %q, %v", resp.StatusCode, b, err)
		}
	}
}

// A body is sent as fast as the server's flow control permits.
func TestSmallWindow(t *testing.T) {
	t.Parallel()
	const size = 100_000 // more than the window of the connection
	url, _ := serve(t, func(s *session) error {
		if err := s.WriteSettings(frames.Setting{ID: frames.SettingInitialWindowSize, Val: 1000}); err != nil {
			return err
		}
		got := 0
		for {
			f, err := s.ReadFrame()
			if err != nil {
				return err
			}
			d, ok := f.(*frames.DataFrame)
			if !ok {
				continue
			}
			got += len(d.Data())
			if d.StreamEnded() {
				return errors.Join(s.head(d.StreamID, false, ":status", "200"), s.WriteData(d.StreamID, true, []byte(fmt.Sprint(got))), wait(s))
			}
			n := uint32(len(d.Data()))
			if err := s.WriteWindowUpdate(0, n); err != nil {
				return err
			}
			if err := s.WriteWindowUpdate(d.StreamID, n); err != nil {
				return err
			}
		}
	})
	c := New(connect.Options{}.Dialer(), 8)
	defer c.Close()
	if _, text, err := send(t, c, "POST", url, strings.Repeat("x", size)); err != nil || text != fmt.Sprint(size) {
		t.Errorf("%q, %v, want %d", text, err, size)
	}
}

// hangUp ends the connection without a reset, which would overtake what was sent.
func hangUp(s *session) error { return errors.Join(s.Conn.(*net.TCPConn).CloseWrite(), wait(s)) }

// wait reads until the client closes the connection.
func wait(s *session) error {
	_, err := io.Copy(io.Discard, s.Conn)
	return err
}
