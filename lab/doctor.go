package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"soundcheck/internal/cli"
	"soundcheck/lab/doctor"
	"soundcheck/lab/plan"
)

// header collects the values of -header.
type header http.Header

func (h header) String() string { return "" }

func (h header) Set(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok || strings.TrimSpace(name) == "" {
		return errors.New("must be NAME=VALUE")
	}
	http.Header(h).Add(strings.TrimSpace(name), value)
	return nil
}

func runDoctor(ctx context.Context, args []string, getenv func(string) string, stdout, _ io.Writer) error {
	f := cli.NewFlags("lab doctor [flags]", "SOUNDCHECK_LAB", `Send an empty export to an OTLP endpoint over HTTP and gRPC, name cause and fix of what fails.
Exit code 1 if neither works, or the protocol of -protocol does not.`)
	endpoint := f.String("otlp", plan.Lab{}.OTLP(), "`URL` of the endpoint, as in OTEL_EXPORTER_OTLP_ENDPOINT")
	protocol := f.String("protocol", "", "`protocol` that must work: grpc or http/protobuf (default: one of them)")
	headers := header{}
	f.Var(headers, "header", "request header `NAME=VALUE`; repeatable")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if err := f.NoArgs(); err != nil {
		return err
	}
	if *protocol != "" && *protocol != doctor.HTTP && *protocol != doctor.GRPC {
		return f.Errorf("-protocol %q is not %s or %s", *protocol, doctor.GRPC, doctor.HTTP)
	}
	results, err := doctor.OTLP(ctx, *endpoint, http.Header(headers))
	if err != nil {
		return f.Errorf("-otlp: %v", err)
	}
	if ctx.Err() != nil {
		return cli.WithCode(130, errors.New("interrupted"))
	}
	if err := writeDoctor(stdout, *endpoint, results); err != nil {
		return err
	}
	for _, r := range results {
		if r.OK && (*protocol == "" || *protocol == r.Protocol) {
			return nil
		}
	}
	return cli.ErrSaid
}

func writeDoctor(w io.Writer, endpoint string, results []doctor.Result) error {
	var b bytes.Buffer
	for _, r := range results {
		if r.OK {
			fmt.Fprintf(&b, "%-14s ok      %s, %s\n", r.Protocol, r.Saw, r.Took.Round(time.Millisecond/10))
			continue
		}
		fmt.Fprintf(&b, "%-14s failed  %s\n", r.Protocol, r.Saw)
		fmt.Fprintf(&b, "               cause: %s\n               fix:   %s\n", r.Cause, r.Fix)
	}
	for _, r := range results {
		if r.OK {
			fmt.Fprintf(&b, "\nexport OTEL_EXPORTER_OTLP_ENDPOINT=%s OTEL_EXPORTER_OTLP_PROTOCOL=%s\n", endpoint, r.Protocol)
			break
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}
