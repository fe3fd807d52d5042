package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	neturl "net/url"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/internal/smoke"
	"soundcheck/lab/plan"
)

func runSmoke(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
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
	err := smoke.Run(ctx, &http.Client{Timeout: 10 * time.Second}, base, stdout)
	if errors.As(err, new(smoke.NoResponse)) {
		err = fmt.Errorf("%w\nis the lab up? start it with make lab-up; -url names a proxy on other ports (lab status shows them)", err)
	}
	return err
}
