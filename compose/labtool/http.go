package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/internal/smoke"
)

// Limits of a request: its time, and the bytes of a response that are read.
const (
	timeout     = 5 * time.Second
	maxResponse = 10 << 20
)

// client ignores proxy settings: its URLs are inside the container, or the cluster.
var client = &http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}}

// runSmoke is "labtool smoke".
func runSmoke(ctx context.Context, args []string, stdout io.Writer) error {
	base, err := cli.ParseURL(args[0])
	if err != nil {
		return err
	}
	awaitReachable(ctx, base)
	return smoke.Run(ctx, client, base, stdout)
}

// reachableWithin is how long the smoke test waits for the services; shorter in tests.
var reachableWithin = 20 * time.Second

// awaitReachable returns when the service can reach its backends, or after reachableWithin: in Kubernetes,
// the address of a Service refuses connections for a moment after its pods are ready.
func awaitReachable(ctx context.Context, base string) {
	ctx, cancel := context.WithTimeout(ctx, reachableWithin)
	defer cancel()
	for request(ctx, io.Discard, http.MethodGet, strings.TrimSuffix(base, "/")+"/albums?limit=1", "") != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// request sends a request.
func request(ctx context.Context, stdout io.Writer, method, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err != nil {
		return fmt.Errorf("%s %s: read the response: %w", method, url, err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, bytes.TrimSpace(text[:min(len(text), 1000)]))
	}
	_, err = stdout.Write(text)
	return err
}
