package connect

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/connect/connecttest"
)

func parse(args string, env map[string]string) (Options, error) {
	var o Options
	f := cli.NewFlags("loadgen", "L", "")
	o.Define(f)
	if err := f.Parse(strings.Fields(args), func(name string) string { return env[strings.TrimPrefix(name, "L_")] }, io.Discard); err != nil {
		return o, err
	}
	return o, o.Check()
}

func TestUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := connecttest.NewCA(t).Client(t, "loadgen").Files(t, dir)
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"-follow-redirects -1":                       "-follow-redirects -1 is out of range: 0 to 50",
		"-follow-redirects 51":                       "-follow-redirects 51 is out of range: 0 to 50",
		"-local-addr here":                           `-local-addr "here" is not an IP address`,
		"-unix-socket /a -local-addr ::1":            "-unix-socket and -local-addr do not go together",
		"-unix-socket /a -resolve a:80:::1":          "-unix-socket and -resolve do not go together",
		"-multiplex -http1":                          "-multiplex and -http1 do not go together",
		"-multiplex -no-keepalive":                   "-multiplex and -no-keepalive do not go together",
		"-insecure -cacert " + files.Cert:            "-insecure and -cacert do not go together",
		"-cacert " + empty:                           "-cacert: " + empty + " is empty",
		"-cacert /etc/hostname":                      "-cacert has no PEM certificate",
		"-cacert /nowhere":                           "-cacert: open /nowhere: no such file or directory",
		"-cert /nowhere":                             "-cert: open /nowhere: no such file or directory",
		"-key /nowhere":                              "-key needs -cert",
		"-cert " + files.Cert:                        "-cert and -key: tls: found a certificate rather than a key in the PEM for the private key",
		"-cert " + files.Cert + " -key " + empty:     "-key: " + empty + " is empty",
		"-http1 -http2":                              `invalid boolean flag http2: -http1 and -http2 do not go together`,
		"-h2c -http1":                                `invalid boolean flag http1: -h2c and -http1 do not go together`,
		"-http1=maybe":                               `invalid boolean value "maybe" for -http1: not true or false`,
		"-resolve shop":                              `invalid value "shop" for flag -resolve: "shop" is not host:port:addr, as in shop.example:443:127.0.0.1`,
		"-resolve shop:https:127.0.0.1":              `invalid value "shop:https:127.0.0.1" for flag -resolve: "shop:https:127.0.0.1": "https" is not a port`,
		"-resolve shop:0:127.0.0.1":                  `invalid value "shop:0:127.0.0.1" for flag -resolve: "shop:0:127.0.0.1": "0" is not a port`,
		"-resolve shop:443:other":                    `invalid value "shop:443:other" for flag -resolve: "shop:443:other": "other" is not an IP address`,
		"-resolve a:1:127.0.0.1,b":                   `invalid value "a:1:127.0.0.1,b" for flag -resolve: "b" is not host:port:addr, as in shop.example:443:127.0.0.1`,
		"-cert " + files.Cert + " -key " + files.Key: "",
		"-resolve A:80:[::1] -resolve b:80:::1 -http2 -no-keepalive -cookie-jar -compressed": "",
	} {
		_, err := parse(args, nil)
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}

// A flag overrides the environment.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		env  map[string]string
		want Version
	}{
		{"", map[string]string{"HTTP2": "true"}, HTTP2},
		{"-http1", map[string]string{"HTTP2": "true"}, HTTP1},
		{"-http2=false", map[string]string{"HTTP2": "true"}, Auto},
		{"-http1 -http1", nil, HTTP1},
		{"", nil, Auto},
	} {
		o, err := parse(tt.args, tt.env)
		if err != nil || o.Version != tt.want {
			t.Errorf("%s %v: %q, %v, want %q", tt.args, tt.env, o.Version, err, tt.want)
		}
	}
}

// Options travel to workers in JSON, without the private key.
func TestJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := connecttest.NewCA(t)
	files := ca.Client(t, "loadgen").Files(t, dir)
	o, err := parse("-cacert "+files.CA+" -cert "+files.Cert+" -key "+files.Key+" -h2c -multiplex -resolve A:80:::1 -local-addr 127.0.0.2 -follow-redirects 3 -cookie-jar -compressed", nil)
	if err != nil {
		t.Fatal(err)
	}
	const text = "HTTP/2 only, without TLS for http:// URLs, CA certificates of -cacert, client certificate, multiplexed, resolve A:80:::1, local address 127.0.0.2, max 3 redirects, cookies, gzip accepted"
	if o.String() != text {
		t.Errorf("%s, want %s", o, text)
	}
	b, err := json.Marshal(o)
	if err != nil || strings.Contains(string(b), "PRIVATE") {
		t.Fatalf("%s, %v, want no private key", b, err)
	}
	var got Options
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	want := o
	want.Cert, want.Key, want.caFile, want.certFile, want.keyFile = "", "", "", "", ""
	if !reflect.DeepEqual(got, want) || got.CACert == "" {
		t.Errorf("%+v, want %+v", got, want)
	}
}
