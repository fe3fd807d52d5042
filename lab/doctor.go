package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"soundcheck/internal/cli"
	"soundcheck/lab/build"
	"soundcheck/lab/doctor"
	"soundcheck/lab/doctor/otlp"
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

func runDoctor(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	f := newFlags("lab doctor [flags]", `Find out what is wrong with the lab, up or down, and what to do. Exit code 1 if there is a problem.
With -otlp: check one OTLP endpoint instead, of this lab or any other. Exit code 1 if neither HTTP nor
gRPC works, or the protocol of -protocol does not.`).withOffset()
	format := f.String("format", "text", "result format: `text` or json")
	endpoint := f.String("otlp", "", "`URL` of the only endpoint to check, as in OTEL_EXPORTER_OTLP_ENDPOINT")
	protocol := f.String("protocol", "", "`protocol` that must work at -otlp: grpc or http/protobuf (default: one of them)")
	headers := header{}
	f.Var(headers, "header", "request header `NAME=VALUE` for -otlp; repeatable")
	if err := f.Parse(args, getenv, stdout); err != nil {
		return err
	}
	if err := f.NoArgs(); err != nil {
		return err
	}
	switch {
	case *protocol != "" && *protocol != otlp.HTTP && *protocol != otlp.GRPC:
		return f.Errorf("-protocol %q is not %s or %s", *protocol, otlp.GRPC, otlp.HTTP)
	case *format != "text" && *format != "json":
		return f.Errorf("-format %q is not text or json", *format)
	case *endpoint == "" && (*protocol != "" || len(headers) > 0):
		return f.Errorf("-protocol and -header need -otlp")
	case *endpoint != "" && (f.given("state") || f.given("port-offset") || f.given("format")):
		return f.Errorf("-otlp checks one endpoint: it excludes -state, -port-offset and -format")
	case *endpoint != "":
		return f.checkOTLP(ctx, *endpoint, *protocol, headers, stdout)
	}
	l, b, err := f.lab()
	if err != nil {
		return err
	}
	bar := cli.NewProgress(stderr)
	r, err := doctor.Run(ctx, doctor.Options{Lab: l, Build: b, StateFlag: stateFlag(l), Environ: os.Environ(), Progress: bar.Show})
	bar.Clear()
	switch {
	case ctx.Err() != nil:
		return cli.WithCode(130, errors.New("interrupted"))
	case err != nil:
		return err
	}
	write := r.WriteText
	if *format == "json" {
		write = r.WriteJSON
	}
	if err := write(stdout); err != nil {
		return err
	}
	if r.Problems > 0 {
		return cli.ErrSaid
	}
	return nil
}

// given reports whether a flag is among the arguments.
func (f *flags) given(name string) (found bool) {
	f.Visit(func(fl *flag.Flag) { found = found || fl.Name == name })
	return found
}

// checkOTLP checks one endpoint.
func (f *flags) checkOTLP(ctx context.Context, endpoint, protocol string, headers header, stdout io.Writer) error {
	results, err := otlp.Check(ctx, endpoint, http.Header(headers))
	if err != nil {
		return f.Errorf("-otlp: %v", err)
	}
	if ctx.Err() != nil {
		return cli.WithCode(130, errors.New("interrupted"))
	}
	if err := otlp.WriteText(stdout, endpoint, results); err != nil {
		return err
	}
	for _, r := range results {
		if r.OK && (protocol == "" || protocol == r.Protocol) {
			return nil
		}
	}
	return cli.ErrSaid
}

// diagnose prints an error of lab up, and below it the problems that can keep a lab from starting.
func diagnose(ctx context.Context, l plan.Lab, b *build.Builder, stderr io.Writer, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if !errors.Is(err, cli.ErrSaid) {
		fmt.Fprintf(stderr, "lab: %v\n", err)
	}
	r, checkErr := doctor.Run(ctx, doctor.Options{Lab: l, Build: b, StateFlag: stateFlag(l), Environ: os.Environ(), Start: true})
	if checkErr == nil && r.Problems > 0 {
		fmt.Fprintln(stderr, "\nlab doctor found:")
		if err := r.WriteProblems(stderr); err != nil {
			return err
		}
	}
	return cli.ErrSaid
}
