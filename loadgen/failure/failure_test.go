package failure

import (
	"errors"
	"soundcheck/loadgen/http1"
	"testing"
)

func TestCategory(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ err, want string }{
		{`Get "http://127.0.0.1:9070/albums": context deadline exceeded`, "timeout"},
		{`Get "http://127.0.0.1:9070/albums": dial tcp 127.0.0.1:9070: i/o timeout`, "timeout"},
		{`Get "http://127.0.0.1:9070/albums": dial tcp 127.0.0.1:9070: connect: connection refused`, "connection refused"},
		{`Get "http://127.0.0.1:9070/albums": read tcp 127.0.0.1:53122->127.0.0.1:9070: read: connection reset by peer`, "connection reset"},
		{`Post "http://127.0.0.1:9070/albums": write tcp 127.0.0.1:53122->127.0.0.1:9070: write: broken pipe`, "connection reset"},
		{`Post "http://127.0.0.1:9070/albums": EOF`, "connection closed"},
		{`unexpected EOF`, "connection closed"},
		{`Post "http://127.0.0.1:9070/albums": http: server closed idle connection`, "connection closed"},
		{`Get "http://nowhere:9070/albums": dial tcp: lookup nowhere: no such host`, "no such host"},
		{`Get "http://127.0.0.1:9070/albums": dial tcp 127.0.0.1:9070: connect: cannot assign requested address`, "no free port"},
		{`Get "http://127.0.0.1:9070/albums": dial tcp 127.0.0.1:9070: socket: too many open files`, "too many open files"},
		{http1.ErrLongHead.Error(), "response headers too long"},
		{`Get "https://127.0.0.1:9070/albums": net/http: server response headers exceeded 10485760 bytes; aborted`, "response headers too long"},
		{`net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0"`, "invalid response"},
	} {
		if got := Of(errors.New(tt.err)).Name; got != tt.want {
			t.Errorf("category(%s) = %q, want %q", tt.err, got, tt.want)
		}
	}
}
