package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	neturl "net/url"
	"slices"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/lab/plan"
)

// tenRequests are first requests to an album store: some succeed,
// some must be rejected. They can be sent to a store in use: album 10 may
// exist already, and so may album 666, which a new store does not have.
var tenRequests = []struct {
	method, path, body string
	want               []int
}{
	{"GET", "/albums/1", "", []int{200}},
	{"GET", "/albums/666", "", []int{404, 200}},
	{"GET", "/albums/X", "", []int{400}},
	{"GET", "/albums", "", []int{200}},
	{"POST", "/albums", `{"idx": 10, "titlexx": "Blue Train", "artistx": "Lou Donaldson", "price": 56.99}`, []int{400}},
	{"POST", "/albums", `{"id": -1, "title": "a", "artist": "z", "price": -0.1}`, []int{400}},
	{"POST", "/albums", `{"id": 10,`, []int{400}},
	{"POST", "/albums", `{"id": 10, "title": "The Ozzman Cometh", "artist": "Black Sabbath", "price": 66.60}`, []int{201, 409}},
	{"GET", "/status", "", []int{200}},
	{"GET", "/metrics", "", []int{200}},
}

func smoke(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := cli.NewFlags("lab smoke [flags]", "SOUNDCHECK_LAB", "Send ten requests through the proxy, print each response and check its status.")
	url := f.String("url", plan.Lab{}.Proxy(), "`URL` of the proxy")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if err := f.NoArgs(); err != nil {
		return err
	}
	base := strings.TrimSuffix(*url, "/")
	if u, err := neturl.Parse(base); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return f.Errorf("-url %q is not an http:// or https:// URL", *url)
	}
	client := &http.Client{Timeout: 10 * time.Second}
	failed := 0
	for i, r := range tenRequests {
		req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, strings.NewReader(r.body))
		if err != nil {
			return err
		}
		if r.body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		resp, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("%w\nis the lab up? start it with make lab-up; -url names a proxy on other ports (lab status shows them)", err)
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, 10<<20))
		resp.Body.Close()
		if err != nil {
			return fmt.Errorf("%s %s: read the response: %w", r.method, r.path, err)
		}
		verdict := "ok"
		if !slices.Contains(r.want, resp.StatusCode) {
			verdict = fmt.Sprintf("WRONG, want %v", r.want)
			failed++
		}
		fmt.Fprintf(stdout, "%2d  %-4s %s %s\n    %s: %s\n%s\n", i+1, r.method, r.path, r.body, resp.Status, verdict, excerpt(body))
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d responses were wrong", failed, len(tenRequests))
	}
	_, err := fmt.Fprintf(stdout, "all %d responses as expected\n", len(tenRequests))
	return err
}

// excerpt indents the beginning of a response.
func excerpt(body []byte) string {
	const most = 12
	var b bytes.Buffer
	if json.Indent(&b, body, "", "  ") == nil {
		body = b.Bytes()
	}
	lines := strings.Split(strings.TrimSpace(string(body)), "\n")
	if len(lines) > most {
		lines = append(lines[:most], fmt.Sprintf("… %d more lines", len(lines)-most))
	}
	return "      " + strings.Join(lines, "\n      ")
}
