package contract

import (
	"testing"

	"soundcheck/internal/albumhttp"
)

func load(t testing.TB, name string, source []byte) *Contract {
	t.Helper()
	c, err := Parse(name, source)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTry(t *testing.T) {
	c := load(t, "openapi.yaml", albumhttp.Contract)
	t.Log(c.Names(), c.Notes)
	w := map[string]int{}
	for _, n := range c.Names() {
		w[n] = 1
	}
	g := c.NewGenerator(1, w, 0.3)
	for n := range uint64(60) {
		r, err := g.Request(n)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(r.Operation.Name, r.Invalid, r.Reason, r.Operation.Method, r.Path, r.Header, string(r.Body[:min(len(r.Body), 200)]))
	}
}
