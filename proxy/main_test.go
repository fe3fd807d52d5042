package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"soundcheck/internal/albumhttp/contract"
	"soundcheck/internal/cli"
	"soundcheck/internal/service/servicetest"
)

func TestFlagsAreDocumented(t *testing.T) {
	t.Parallel()
	servicetest.Documented(t, run)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		env  map[string]string
		want string
	}{
		{[]string{"-store", "localhost:9080"}, nil, `-store: "localhost:9080" is not an http:// or https:// URL with a host`},
		{nil, map[string]string{"SOUNDCHECK_PROXY_STORE": "nowhere"}, `-store: "nowhere" is not an http:// or https:// URL with a host`},
		{[]string{"-store-timeout", "0s"}, nil, "-store-timeout 0s is out of range: 1ms to 50s"},
		{nil, map[string]string{"SOUNDCHECK_PROXY_MAX_BODY": "big"}, `SOUNDCHECK_PROXY_MAX_BODY: "big" is not a whole number such as 10`},
		{[]string{"-addr", "x"}, nil, `-addr "x" is not host:port`},
	} {
		var stderr bytes.Buffer
		err := run(t.Context(), tt.args, func(name string) string { return tt.env[name] }, io.Discard, &stderr)
		if code := cli.Code("proxy", &stderr, err); code != 2 || !strings.HasPrefix(stderr.String(), "proxy: "+tt.want+"\n") {
			t.Errorf("proxy %v %v = %d, %s, want 2, %s", tt.args, tt.env, code, stderr.String(), tt.want)
		}
	}
}

// A request in flight at shutdown gets its response, and its spans are delivered: HTTP
// drains first, then telemetry is flushed.
func TestDrainThenFlush(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		io.WriteString(w, `{"id":1,"title":"Blue Train","artist":"John Coltrane","price":56.99,"created_at":"2026-01-02T03:04:05Z"}`)
	}))
	defer store.Close()
	otlp := servicetest.NewReceiver(t)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000") // only the flush sends
	ctx, cancel := context.WithCancel(t.Context())
	p := servicetest.Start(t, ctx, run, "-addr", "127.0.0.1:0", "-store", store.URL,
		"-try-timeout", "50s", "-store-timeout", "50s", "-request-timeout", "50s")
	status := make(chan int)
	go func() {
		client := http.Client{Transport: contract.Transport(t, nil)}
		resp, err := client.Get(p.URL + "/albums/1")
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		resp.Body.Close()
		status <- resp.StatusCode
	}()
	<-entered
	cancel()
	if otlp.Count("/v1/traces") != 0 {
		t.Error("spans were sent before the request had ended")
	}
	close(release)
	if s := <-status; s != 200 {
		t.Errorf("the request in flight got %d, want 200", s)
	}
	if err := <-p.Result; err != nil {
		t.Errorf("run() = %v", err)
	}
	if otlp.Count("/v1/traces") != 1 {
		t.Errorf("%d exports of spans, want 1", otlp.Count("/v1/traces"))
	}
}
