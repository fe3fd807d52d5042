package http2

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	frames "golang.org/x/net/http2"

	"soundcheck/loadgen/connect"
	"soundcheck/loadgen/connect/connecttest"
)

// A server ends connections that were used. A request that it has not processed, or a safe one, is sent on another one.
func TestStaleConnections(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		second func(s *session, id uint32) error // at the second request of a connection
		method string
		want   string
	}{
		{"GOAWAY before the request", func(s *session, id uint32) error { return s.WriteGoAway(id-2, frames.ErrCodeNo, nil) }, "POST", ""},
		{"closed, safe", func(*session, uint32) error { return nil }, "GET", ""},
		{"closed, not safe", func(s *session, _ uint32) error { _, err := s.ReadFrame(); return err }, "POST", "EOF"}, // after the body
		{"reset is a response", func(s *session, id uint32) error { return s.WriteRSTStream(id, frames.ErrCodeInternal) }, "POST", "INTERNAL_ERROR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url, connections := serve(t, func(s *session) error {
				id, err := s.request()
				if err == nil {
					err = s.head(id, true, ":status", "200")
				}
				if err == nil {
					id, err = s.request()
				}
				if err == nil && s.number == 1 {
					return tt.second(s, id)
				}
				return errors.Join(err, wait(s))
			})
			c := New(connect.Options{}.Dialer(), 8)
			defer c.Close()
			if _, _, err := send(t, c, "GET", url, ""); err != nil {
				t.Fatal(err)
			}
			resp, _, err := send(t, c, tt.method, url, "body")
			switch {
			case tt.want == "" && (err != nil || resp.StatusCode != 200 || connections.Load() != 2):
				t.Errorf("%v, %v, %d connections, want 200 by the second", resp, err, connections.Load())
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// A connection that the server ends while it is idle is not used.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	ended := make(chan bool)
	url, connections := serve(t, func(s *session) error {
		id, err := s.request()
		if err == nil {
			err = s.head(id, true, ":status", "200")
		}
		if err != nil || s.number > 1 {
			return errors.Join(err, wait(s))
		}
		<-ended
		err = s.WriteGoAway(id, frames.ErrCodeNo, nil)
		ended <- true
		return errors.Join(err, wait(s))
	})
	c := New(connect.Options{}.Dialer(), 8)
	defer c.Close()
	for i := range 2 {
		if resp, _, err := send(t, c, "POST", url, "body"); err != nil || resp.StatusCode != 200 {
			t.Errorf("%v, %v", resp, err)
		}
		if i == 0 {
			ended <- true
			<-ended
		}
	}
	if n := connections.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

const nginxServer = `
listen $1 http2; listen $2 ssl http2;
ssl_certificate $dir/cert.pem; ssl_certificate_key $dir/key.pem;
keepalive_requests 7; root $dir; client_max_body_size 64k;
location = /hello { return 200 "$server_protocol $request_method $http_x_test $content_length"; }
location = /upload { proxy_pass http://upstream; }`

// nginx ends a connection after some requests with GOAWAY: no request fails.
func TestNginx(t *testing.T) {
	t.Parallel()
	ca := connecttest.NewCA(t)
	pair := ca.Server(t)
	conf := strings.Replace(nginxServer, "location = /upload { proxy_pass http://upstream; }", "location = /upload { proxy_pass http://"+connecttest.Start(t, connecttest.Hello, nil, (*http.Protocols).SetHTTP1).Listener.Addr().String()+"; }", 1)
	addresses, _ := connecttest.Nginx(t, conf, map[string]string{"cert.pem": pair.Cert, "key.pem": pair.Key, "large": strings.Repeat("x", 3<<20)})
	c := New(connect.Options{CACert: ca.PEM}.Dialer(), 8)
	defer c.Close()
	for i, url := range []string{"http://" + addresses[0], "https://" + addresses[1]} {
		for n := range 50 {
			method, body := "GET", ""
			if n%2 == 1 {
				method, body = "POST", "body"
			}
			want := "HTTP/2.0 " + method + " 1 "
			if body != "" {
				want += "4"
			}
			if _, text, err := send(t, c, method, url+"/hello", body); err != nil || text != want {
				t.Fatalf("%d, request %d: %q, %v, want %q", i, n, text, err, want)
			}
		}
		if resp, text, err := send(t, c, "GET", url+"/large", ""); err != nil || len(text) != 3<<20 || resp.ContentLength != 3<<20 {
			t.Errorf("a large body: %d bytes, %v", len(text), err)
		}
		upload := strings.Repeat("y", 60_000)
		if _, text, err := send(t, c, "PUT", url+"/upload", upload); err != nil || !strings.HasSuffix(text, " "+upload) {
			t.Errorf("an upload: %.100q, %v", text, err)
		}
		if resp, _, err := send(t, c, "POST", url+"/upload", strings.Repeat("z", 1<<20)); err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("a body that is too large: %v, %v", resp, err)
		}
		for range 3 { // the windows of flow control are not exhausted
			if _, text, err := send(t, c, "PUT", url+"/upload", upload); err != nil || !strings.HasSuffix(text, " "+upload) {
				t.Errorf("an upload after it: %.100q, %v", text, err)
			}
		}
	}
}
