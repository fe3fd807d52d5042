package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"soundcheck/internal/fault"
)

// labOf returns the state folder of a lab whose supervisor reports status.
func labOf(t *testing.T, status string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lab") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	hold(t, dir)
	l, err := net.Listen("unix", filepath.Join(dir, "lab.sock"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, status) })}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return dir
}

func faultsNow(t *testing.T, h http.Handler, method string) (a faultsResponse) {
	t.Helper()
	resp, body := do(t, h, method, "/-/faults", "")
	if err := json.Unmarshal([]byte(body), &a); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s /-/faults = %d %s", method, resp.StatusCode, body)
	}
	return a
}

// The faults of a store are shown, and cleared, where the lab has it.
func TestFaults(t *testing.T) {
	t.Parallel()
	const storeAdminPort = 9081
	set := fault.New(1, "db-delay", "error")
	admin := httptest.NewUnstartedServer(set.Admin())
	for admin.Listener.Addr().(*net.TCPAddr).Port <= storeAdminPort { // a lab's offset is not negative
		admin.Listener.Close()
		var err error
		if admin.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	admin.Start()
	defer admin.Close()
	offset := admin.Listener.Addr().(*net.TCPAddr).Port - storeAdminPort
	h := console(t, Config{State: labOf(t, fmt.Sprintf(`{"phase":"up","port_offset":%d,"programs":[{"name":"album-store","process":{"pid":1}},{"name":"proxy-service"}]}`, offset))})
	if a := faultsNow(t, h, http.MethodGet); len(a.Services) != 0 || !a.Clear {
		t.Errorf("without faults: %+v", a)
	}
	if err := set.Replace(t.Context(), "error=500@50%", "db-delay=40ms"); err != nil {
		t.Fatal(err)
	}
	want := []faulty{{Service: "album-store", Faults: set.List()}}
	if a := faultsNow(t, h, http.MethodGet); !reflect.DeepEqual(a.Services, want) || len(set.List()) != 2 {
		t.Errorf("with faults: %+v, want %+v", a.Services, want)
	}
	if a := faultsNow(t, h, http.MethodDelete); len(a.Services) != 0 || len(set.List()) != 0 {
		t.Errorf("cleared: %+v, on are %v", a, set.List())
	}
	if err := set.Replace(t.Context(), "error=500@50%"); err != nil {
		t.Fatal(err)
	}
	admin.Close()
	if resp, body := do(t, h, http.MethodDelete, "/-/faults", ""); resp.StatusCode != http.StatusBadGateway || !strings.Contains(body, "faults of album-store not cleared: ") {
		t.Errorf("DELETE of a store that is down = %d %s", resp.StatusCode, body)
	}
	if a := faultsNow(t, h, http.MethodGet); len(a.Services) != 1 || a.Services[0].Error == "" {
		t.Errorf("a store that does not say: %+v", a)
	}
	if a := faultsNow(t, console(t, Config{}), http.MethodGet); len(a.Services) != 0 {
		t.Errorf("without a lab: %+v", a)
	}
	silent := console(t, Config{State: labOf(t, "not JSON")})
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if resp, body := do(t, silent, method, "/-/faults", ""); resp.StatusCode != http.StatusBadGateway || !strings.Contains(body, "supervisor") {
			t.Errorf("%s with a supervisor that does not respond = %d %s", method, resp.StatusCode, body)
		}
	}
}

// A service that hangs hides no fault of another: they are called at once.
func TestFaultsInParallel(t *testing.T) {
	t.Parallel()
	var both sync.WaitGroup
	both.Add(2)
	admins := map[string]string{}
	for _, name := range []string{"album-store", "proxy-service"} {
		// Each responds once both are called.
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			both.Done()
			called := make(chan struct{})
			go func() { both.Wait(); close(called) }()
			select {
			case <-called:
				fmt.Fprintf(w, `{"faults":["stall of %s"]}`, name)
			case <-r.Context().Done():
			}
		}))
		defer srv.Close()
		admins[name] = srv.URL
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // only if it fails
	defer cancel()
	want := []faulty{{Service: "album-store", Faults: []string{"stall of album-store"}}, {Service: "proxy-service", Faults: []string{"stall of proxy-service"}}}
	if got := askFaults(ctx, http.MethodGet, admins); !reflect.DeepEqual(got, want) {
		t.Errorf("askFaults = %+v, want %+v", got, want)
	}
}

// In containers faults come from Prometheus, and a command clears them.
func TestFaultsOfContainers(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"data":{"result":[{"metric":{"service_name":"album-store","soundcheck_fault":"stall"}},{"metric":{"service_name":"album-store","soundcheck_fault":"error"}}]}}`)
	}))
	defer srv.Close()
	at, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Prometheus: at, PortOffset: 7, Containers: []Container{{"album-store-1", "x"}, {"album-store-2", "x"}, {"proxy-service", "x"}}}
	a := faultsNow(t, console(t, c), http.MethodGet)
	if want := (faultsResponse{Services: []faulty{{Service: "album-store", Faults: []string{"error", "stall"}, Containers: []string{"album-store-1", "album-store-2"}}}, PortOffset: 7}); !reflect.DeepEqual(a, want) {
		t.Errorf("%+v, want %+v", a, want)
	}
	c.Containers, c.Kubernetes = []Container{{"album-store", "x"}, {"proxy-service", "x"}}, true
	if a := faultsNow(t, console(t, c), http.MethodGet); len(a.Services) != 1 || !slices.Equal(a.Services[0].Containers, []string{"album-store"}) || a.Clear {
		t.Errorf("in Kubernetes: %+v", a)
	}
	if resp, body := do(t, console(t, c), http.MethodDelete, "/-/faults", ""); resp.StatusCode != http.StatusConflict {
		t.Errorf("DELETE = %d %s", resp.StatusCode, body)
	}
	c.Prometheus = closed(t)
	if resp, body := do(t, console(t, c), http.MethodGet, "/-/faults", ""); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("without Prometheus: %d %s", resp.StatusCode, body)
	}
}
