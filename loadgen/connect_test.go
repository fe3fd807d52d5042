package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"soundcheck/internal/album"
	"soundcheck/internal/albumhttp"
	"soundcheck/loadgen/connect/connecttest"
	"soundcheck/loadgen/kubernetes"
)

// secureTarget is an album service with TLS that requires a client certificate, and the files of one.
func secureTarget(t *testing.T, set ...func(*http.Protocols, bool)) (*connecttest.Server, connecttest.Files) {
	t.Helper()
	h := albumhttp.Handler(album.NewMemory(album.Seed()...), albumhttp.HandlerOptions{Service: "album-store"})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 || r.TLS.PeerCertificates[0].Subject.CommonName != "loadgen" {
			http.Error(w, "no client certificate", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
	ca := connecttest.NewCA(t)
	config := ca.Server(t).TLS(t)
	config.ClientAuth = tls.RequestClientCert
	return connecttest.Start(t, mux, config, set...), ca.Client(t, "loadgen").Files(t, t.TempDir())
}

// The options of connections count in each command that sends, also for its probe.
func TestConnections(t *testing.T) {
	t.Parallel()
	s, files := secureTarget(t, (*http.Protocols).SetHTTP2)
	both := []string{"-cacert", files.CA, "-cert", files.Cert, "-key", files.Key, "-http2"}
	stdout, stderr, code := loadgen(t.Context(), append(both, "-rate", "100", "-duration", "500ms", "-url", s.URL)...)
	wantDone(t, stdout, stderr, code)
	if want := "\nconnections   HTTP/2 only, CA certificates of -cacert, client certificate\n"; !strings.Contains(stdout, want) || !strings.Contains(stdout, "\ngood          50 (100.00%)\n") {
		t.Errorf("report\n%s\nwant%s", stdout, want)
	}
	stdout, stderr, code = loadgen(t.Context(), append(append([]string{"ab"}, both...), "-a", s.URL, "-b", s.URL, "-rate", "40", "-block", "200ms", "-duration", "6400ms", "-warmup", "0s")...)
	if code != 0 && code != 3 && code != 5 || !strings.Contains(stdout, "128 good, 128 served") {
		t.Errorf("ab: exit code %d, %s\n%s", code, stderr, stdout)
	}
	stdout, stderr, code = loadgen(t.Context(), append(append([]string{"capacity"}, both...), "-url", s.URL, "-slo", "good>99%", "-from", "50", "-to", "50", "-step", "2s", "-warmup", "0s")...)
	if code != 0 && code != 4 || !strings.Contains(stdout, "50") {
		t.Errorf("capacity: exit code %d, %s\n%s", code, stderr, stdout)
	}
	// Without them the probe fails, and says why.
	_, stderr, code = loadgen(t.Context(), "-url", s.URL)
	if code != 1 || !strings.Contains(stderr, "reach the target: ") || !strings.Contains(stderr, "certificate signed by unknown authority") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	// A recording is sent with the options of its replay.
	recording := filepath.Join(t.TempDir(), "recording")
	stdout, stderr, code = loadgen(t.Context(), append(both, "-rate", "100", "-duration", "100ms", "-url", s.URL, "-record", recording)...)
	wantDone(t, stdout, stderr, code)
	stdout, stderr, code = loadgen(t.Context(), append(both, "-url", s.URL, "-replay", recording)...)
	wantDone(t, stdout, stderr, code)
}

// Workers of a coordinator connect as it says, with a client certificate of their own.
func TestCoordinatedConnections(t *testing.T) {
	t.Parallel()
	s, files := secureTarget(t, (*http.Protocols).SetHTTP2)
	d := coordinateWith(t, 2, nil, []string{"-cert", files.Cert, "-key", files.Key}, "-workers", "2", "-listen", "127.0.0.1:0", "-rate", "100", "-duration", "1s", "-url", s.URL, "-cacert", files.CA, "-h2c")
	if d.code != 0 && d.code != 4 || !strings.Contains(d.stdout, "\nconnections   HTTP/2 only, without TLS for http:// URLs, CA certificates of -cacert, client certificate\n") || !strings.Contains(d.stdout, "\ngood          100 (100.00%)\n") {
		t.Errorf("exit code %d, %s\n%s, workers %v", d.code, d.stderr, d.stdout, d.workers)
	}
}

func TestConnectionUsage(t *testing.T) {
	t.Parallel()
	files := connecttest.NewCA(t).Client(t, "loadgen").Files(t, t.TempDir())
	targets := filepath.Join(t.TempDir(), "targets")
	if err := os.WriteFile(targets, []byte("GET https://a/x\n\nGET http://b/y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		want string
	}{
		{"-http2", "-url http://127.0.0.1:9070: -http2 needs an https:// URL; -h2c is HTTP/2 for http:// URLs"},
		{"-http2 -targets " + targets, "-targets: " + targets + ":3: http://b/y: -http2 needs an https:// URL; -h2c is HTTP/2 for http:// URLs"},
		{"ab -http2 -a https://a -b http://b", "-b http://b: -http2 needs an https:// URL; -h2c is HTTP/2 for http:// URLs"},
		{"-key x", "-key needs -cert"},
		{"capacity -slo p99<1s -follow-redirects 99", "-follow-redirects 99 is out of range: 0 to 50"},
		{"coordinate -workers 2 -cert " + files.Cert + " -key " + files.Key, "-cert: the stream to the workers is not encrypted, so that they do not get a private key: set -cert and -key of each loadgen -join"},
		{"-join http://a -cacert " + files.CA, "-join and -cacert do not go together: the coordinator has the flags of the run"},
		{"-join http://a -cert /nowhere", "-cert: open /nowhere: no such file or directory"},
	} {
		_, stderr, code := loadgen(t.Context(), strings.Fields(tt.args)...)
		if code != 2 || !strings.HasPrefix(stderr, "loadgen: "+tt.want+"\n") {
			t.Errorf("%s: exit code %d, %s, want %s", tt.args, code, stderr, tt.want)
		}
	}
	// A pipe is checked too, while it is read.
	for in, want := range map[string]string{
		"GET http://me:secret@b/y\n":                                  ":1: http://me@b/y",
		`{"method": "GET", "url": "http://b/y"}` + "\n":               ":1: http://b/y",
		"# two\nGET https://127.0.0.1:1/\n\nGET http://b/y\nA: b\n\n": ":4: http://b/y",
	} {
		_, stderr, code := stream(t, in, "-http2", "-rate", "100", "-duration", "10s")
		if code == 0 || !strings.Contains(stderr, want+": -http2 needs an https:// URL; -h2c is HTTP/2 for http:// URLs\n") {
			t.Errorf("%q: exit code %d, %s, want %s", in, code, stderr, want)
		}
	}
	for args, want := range map[string]string{
		"-unix-socket /s": "-unix-socket: a socket of this machine does not reach the pods",
		"-cert " + files.Cert + " -key " + files.Key: "-cert: pods get no private key of this machine",
	} {
		_, _, err := parseAttack(append([]string{"-workers", "2"}, strings.Fields(args)...), func(string) string { return "" }, io.Discard, &distribution{k8s: &kubernetes.Flags{}})
		if err == nil || err.Error() != want {
			t.Errorf("k8s %s: %v, want %s", args, err, want)
		}
	}
}
