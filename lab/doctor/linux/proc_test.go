package linux

import (
	"testing"
)

func TestSocketAddr(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0100007F:2382":                         "127.0.0.1:9090",
		"00000000:0050":                         "0.0.0.0:80",
		"00000000000000000000000001000000:10DE": "[::1]:4318",
		"0000000000000000FFFF00000100007F:0001": "[::ffff:127.0.0.1]:1",
	} {
		if got, ok := socketAddr(text); !ok || got.String() != want {
			t.Errorf("socketAddr(%s) = %s, %t, want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "0100007F", "01:1", "zz:1", "0100007F:zz"} {
		if got, ok := socketAddr(text); ok {
			t.Errorf("socketAddr(%q) = %s", text, got)
		}
	}
}
