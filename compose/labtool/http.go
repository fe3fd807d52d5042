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
	return smoke.Run(ctx, client, base, stdout)
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
