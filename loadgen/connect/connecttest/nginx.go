package connecttest

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var quiet = log.New(io.Discard, "", 0)

// Nginx runs nginx with a server of these directives until the end of the test. It returns the addresses of ports 1, 2 …
// in it, as in "listen $1 ssl http2;". $dir is its directory, in which files are.
func Nginx(t testing.TB, directives string, files map[string]string) (addresses []string, dir string) {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		if nginx, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			t.Skip("there is no nginx: apt-get install nginx-core")
		}
	}
	dir = t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// nginx inherits its sockets, as in a binary upgrade: no other process can take the ports meanwhile.
	cmd := exec.CommandContext(t.Context(), nginx, "-c", filepath.Join(dir, "nginx.conf"), "-p", dir, "-e", "stderr")
	inherited := ""
	for i := 1; strings.Contains(directives, "$"+string(rune('0'+i))); i++ {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, l.Addr().String())
		directives = strings.ReplaceAll(directives, "$"+string(rune('0'+i)), l.Addr().String())
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		inherited += string(rune('0'+2+i)) + ";"
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	conf := "daemon off; worker_processes 1; pid $dir/pid; error_log stderr;\n"
	if os.Getuid() == 0 { // its processes would be another user's, who may not read the test's folder
		conf += "user root;\n"
	}
	conf += "events { worker_connections 512; }\nhttp { access_log off; client_body_temp_path $dir/body; proxy_temp_path $dir/proxy; fastcgi_temp_path $dir/fastcgi; uwsgi_temp_path $dir/uwsgi; scgi_temp_path $dir/scgi;\n" +
		"server {\n" + directives + "\n} }\n"
	conf = strings.ReplaceAll(conf, "$dir", dir)
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr, cmd.Env = &stderr, append(os.Environ(), "NGINX="+inherited)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Start()
	for _, f := range cmd.ExtraFiles {
		// To start nginx has made the socket one that waits, which its event loop must not do.
		err = errors.Join(err, syscall.SetNonblock(int(f.Fd()), true), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("nginx: %s", stderr.String())
		}
	})
	return addresses, dir
}

// Hello is a handler that responds with the request's version of HTTP, method, path, body and some headers.
var Hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	_, _ = io.WriteString(w, strings.Join([]string{r.Proto, r.Method, r.Host, r.URL.RequestURI(), r.Header.Get("X-Test"), string(b)}, " "))
})
