package overload

import (
	"bytes"
	"flag"
	"io"
	"testing"

	"soundcheck/internal/cli"
)

func TestFlags(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-rate-limit", "-1"}, "-rate-limit -1 is out of range: 0.001 to 1000000, or 0"},
		{[]string{"-rate-limit", "NaN"}, "-rate-limit NaN is out of range: 0.001 to 1000000, or 0"},
		{[]string{"-rate-burst", "5"}, "-rate-burst 5 needs -rate-limit"},
		{[]string{"-client-rate-limit", "2e6"}, "-client-rate-limit 2e+06 is out of range: 0.001 to 1000000, or 0"},
		{[]string{"-client-rate-limit", "1", "-client-rate-burst", "-1"}, "-client-rate-burst -1 is out of range: 1 to 1000000, or 0"},
		{[]string{"-client-header", "X API"}, `-client-header "X API" is not a header name`},
		{[]string{"-trusted-proxies", "10.0.0.0/33"}, `invalid value "10.0.0.0/33" for flag -trusted-proxies: "10.0.0.0/33" is not an IP address or a network`},
		{[]string{"-trusted-proxies", "fe80::1%eth0"}, `invalid value "fe80::1%eth0" for flag -trusted-proxies: "fe80::1%eth0" is not an IP address or a network`},
		{[]string{"-concurrency", "1"}, `invalid value "1" for flag -concurrency: must be adaptive, a number from 2 to 100000, or 0 for no limit`},
		{[]string{"-concurrency", "many"}, `invalid value "many" for flag -concurrency: must be adaptive, a number from 2 to 100000, or 0 for no limit`},
		{[]string{"-write-share", "0"}, "-write-share 0 is out of range: 0.01 to 0.99"},
		{[]string{"-queue", "-1"}, "-queue -1 is out of range: 0 to 100000"},
		{[]string{"-queue-wait", "2m"}, "-queue-wait 2m0s is out of range: 1ms to 5s"},
		{[]string{"-request-timeout", "1us"}, "-request-timeout 1µs is out of range: 1ms to 50s, or 0"},
	} {
		f := cli.NewFlags("x", "X", "")
		o := Flags(f)
		err := f.Parse(tt.args, func(string) string { return "" }, io.Discard)
		if err == nil {
			err = o.Check(f)
		}
		var stderr bytes.Buffer
		if code := cli.Code("x", &stderr, err); code != 2 || !bytes.HasPrefix(stderr.Bytes(), []byte("x: "+tt.want+"\n")) {
			t.Errorf("%v: %d, %s, want 2, %s", tt.args, code, stderr.String(), tt.want)
		}
	}
	f := cli.NewFlags("x", "X", "")
	o := Flags(f)
	if err := f.Parse([]string{"-rate-limit", "2.5", "-concurrency", "16", "-trusted-proxies", "10.0.0.0/8,::1"}, func(string) string { return "" }, io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := o.Check(f); err != nil || o.Burst != 3 || o.Concurrency != (Concurrency{N: 16}) || len(o.TrustedProxies) != 2 {
		t.Errorf("%+v, %v", o, err)
	}
	var _ flag.Value = &o.Concurrency
}
