package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/album/albumtest"
	"soundcheck/internal/albumapi"
	"soundcheck/internal/albumhttp/contract"
	"soundcheck/internal/cli"
	"soundcheck/internal/service/servicetest"
	labbuild "soundcheck/lab/build"
	"soundcheck/store/db/dbtest"
)

func noenv(string) string { return "" }

var (
	server *dbtest.Postgres
	binary string // the store as it is used, without the race detector: it can be killed
)

func build(tags string) (path string, err error) {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "store")
	// With the flags of the lab, whose build cache this shares.
	cmd := exec.Command("go", append(append([]string{"build"}, labbuild.Flags...), "-tags="+tags, "-o", path, ".")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	var err error
	if server, err = dbtest.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Stop()
	if binary, err = build(""); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(filepath.Dir(binary))
	return m.Run()
}

func TestFlagsAreDocumented(t *testing.T) {
	t.Parallel()
	servicetest.Documented(t, run)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-h"}, 0, ""},
		{[]string{"-nope"}, 2, "flag provided but not defined: -nope"},
		{[]string{"serve"}, 2, `unexpected argument "serve"`},
		{[]string{"-addr", "9080"}, 2, `-addr "9080" is not host:port`},
		{[]string{"-addr", "127.0.0.1:x"}, 2, `-addr "127.0.0.1:x": the port must be a number from 0 to 65535`},
		{[]string{"-addr", ":70000"}, 2, `-addr ":70000": the port must be a number from 0 to 65535`},
		{[]string{"-max-body", "1"}, 2, "-max-body 1 is out of range: 1024 to 1073741824"},
		{[]string{"-drain-timeout", "-1s"}, 2, "-drain-timeout -1s is out of range: 0s to 10m"},
		{[]string{"-db", "mysql://x"}, 2, "-db: must be memory, sqlite:PATH or postgres://…"},
		{[]string{"-db", "sqlite:"}, 2, `-db: "sqlite:" must be sqlite:PATH`},
		{[]string{"-db", "postgres://a:sec%ret@b/c"}, 2, "-db: not a valid URL"},
		{[]string{"-migrate", "maybe"}, 2, `-migrate "maybe" is not auto, check or off`},
		{[]string{"-max-albums", "2"}, 2, "-max-albums 2 is out of range: 3 to 1000000000"},
		{[]string{"-max-conns", "0"}, 2, "-max-conns 0 is out of range: 1 to 1000"},
		{[]string{"-max-conns", "1", "-db", "postgres://a@b/c"}, 2, "-max-conns 1 is out of range: 2 to 1000 for PostgreSQL"},
		{[]string{"-max-conns", "1", "-db", "sqlite:/dev/null/albums.db"}, 1, "open sqlite:/dev/null/albums.db: mkdir /dev/null: "},
		{[]string{"-fault", "conn-leak=1%"}, 2, `-fault: fault "conn-leak=1%": this database does not support it`},
		{[]string{"-fault", "db-lock=1s@2s", "-db", "postgres://localhost/x"}, 2, `-fault: fault "db-lock=1s@2s": this database does not support it`},
		{[]string{"-slow-query", "-1s"}, 2, "-slow-query -1s is out of range: 0s to 1h"},
		{[]string{"migrate", "sideways", "-db", "sqlite:x"}, 2, `migrate "sideways": must be one of up, down, status, redo, wait`},
		{[]string{"migrate", "up"}, 2, "-db is required: sqlite:PATH or postgres://…"},
		{[]string{"migrate", "up", "-db", "memory"}, 2, "-db is required: sqlite:PATH or postgres://…"},
		{[]string{"migrate", "up", "-db", "sqlite:x", "-wait", "-1s"}, 2, "-wait -1s is out of range: 0s to 1h"},
		{[]string{"migrate", "up", "-db", "sqlite:x", "y"}, 2, `unexpected argument "y"`},
		{[]string{"-db", "sqlite:/dev/null/albums.db"}, 1, "open sqlite:/dev/null/albums.db: mkdir /dev/null: "},
		{[]string{"-db", "postgres://me:secret@127.0.0.1:1/shop"}, 1, "open postgres://me@127.0.0.1:1/shop: migrate: "},
		{[]string{"-db", "postgres://me:a@secret@127.0.0.1:1/shop"}, 1, "open postgres://me@127.0.0.1:1/shop: migrate: "},
		{[]string{"migrate", "status", "-db", "sqlite:/nope/albums.db"}, 1, "migrate status sqlite:/nope/albums.db: stat /nope/albums.db: no such file or directory"},
		{[]string{"-flush-timeout", "1h"}, 2, "-flush-timeout 1h0m0s is out of range: 0s to 10m"},
	} {
		var stdout, stderr bytes.Buffer
		code := cli.Code("store", &stderr, run(t.Context(), tt.args, noenv, &stdout, &stderr))
		if code != tt.code || !strings.HasPrefix(stderr.String(), strings.TrimSpace("store: "+tt.want)) && tt.code != 0 {
			t.Errorf("store %v = %d, %s, want %d, %s", tt.args, code, stderr.String(), tt.code, tt.want)
		}
		if tt.code == 0 && !strings.HasPrefix(stdout.String(), "usage: store [flags]\n") {
			t.Errorf("store %v says %s", tt.args, stdout.String())
		}
		if strings.Contains(stdout.String()+stderr.String(), "secret") {
			t.Errorf("store %v shows the password: %s%s", tt.args, stdout.String(), stderr.String())
		}
	}
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("OTEL_SDK_DISABLED", "true")
	var stderr bytes.Buffer
	err = run(t.Context(), []string{"-addr", l.Addr().String()}, noenv, io.Discard, &stderr)
	if code := cli.Code("store", &stderr, err); code != 1 || stderr.String() != "store: listen "+l.Addr().String()+": bind: address already in use\n" {
		t.Errorf("exit code %d, %s", code, stderr.String())
	}
}

// The store starts with its three albums on every database, keeps to the contract,
// ends with its context, and what it traced is delivered by then.
func TestRun(t *testing.T) {
	otlp := servicetest.NewReceiver(t)
	for _, db := range []string{"memory", "sqlite:" + filepath.Join(t.TempDir(), "new", "albums.db"), server.New(t)} {
		ctx, cancel := context.WithCancel(t.Context())
		p := servicetest.Start(t, ctx, run, "-addr", "127.0.0.1:0", "-db", db)
		c, err := albumapi.NewClient(p.URL, albumapi.ClientOptions{Timeout: 5 * time.Minute,
			Wrap: func(next http.RoundTripper) http.RoundTripper { return contract.Transport(t, next) }})
		if err != nil {
			t.Fatal(err)
		}
		retryTimeouts(t, func() error {
			a, err := c.Get(t.Context(), 1)
			if err == nil && a.Title != "Blue Train" {
				t.Errorf("%s: album 1 = %+v", db, a)
			}
			return err
		})
		var op album.Operation
		retryTimeouts(t, func() (err error) {
			op, _, err = c.Submit(t.Context(), album.One(albumtest.New(0)))
			return err
		})
		if end := albumtest.Await(t, c, op.ID); end.Status != album.Succeeded || len(end.IDs) != 1 || end.IDs[0] != 4 {
			t.Errorf("%s: the operation ended as %+v", db, end)
		}
		retryTimeouts(t, func() error {
			switch status := readyz(t, p.URL); status {
			case 200:
				return nil
			case 503:
				return album.ErrNotReady
			default:
				return fmt.Errorf("%s: readyz = %d", db, status)
			}
		})
		cancel()
		if err := <-p.Result; err != nil {
			t.Errorf("%s: run() = %v", db, err)
		}
	}
	if otlp.Count("/v1/traces") == 0 || otlp.Count("/v1/metrics") == 0 || otlp.Count("/v1/logs") == 0 {
		t.Error("traces, metrics or logs were not flushed at the end")
	}
}

func readyz(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	for _, db := range []string{"sqlite:" + filepath.Join(t.TempDir(), "albums.db"), server.New(t)} {
		store := func(args ...string) (string, string, int) {
			var stdout, stderr bytes.Buffer
			code := cli.Code("store", &stderr, run(t.Context(), append(args, "-db", db), noenv, &stdout, &stderr))
			return stdout.String(), stderr.String(), code
		}
		for _, tt := range []struct {
			args   string
			code   int
			stdout string
			stderr string
		}{
			{"migrate down", 1, "", "no migration to revert"},
			{"-addr 127.0.0.1:0 -migrate check", 1, "", `pending migrations: 5; run "store migrate up", or start with -migrate auto`},
			{"migrate status", 0, `\nVERSION +MIGRATION +APPLIED AT\n1 +00001_albums.sql +-\n(.+\n){3}5 +river queue +-\n$`, ""},
			{"migrate up", 0, `^\nup +1  00001_albums.sql  .*\n(up .*\n){4}$`, ""},
			{"migrate up", 0, `^\nno pending migrations\n$`, ""},
			{"migrate redo", 0, `^\ndown +5  river queue .*\nup +5 .*\n$`, ""},
			{"migrate down", 0, `^\ndown +5 .*\n$`, ""},
			{"-addr 127.0.0.1:0 -migrate check", 1, "", "pending migrations: 1;"},
			{"migrate up", 0, `^\nup +5 .*\n$`, ""},
			{"migrate status", 0, `\n5 +river queue +20\d\d-.*\n$`, ""},
		} {
			stdout, stderr, code := store(strings.Fields(tt.args)...)
			if code != tt.code || !regexp.MustCompile(tt.stdout).MatchString("\n"+stdout) || !strings.Contains(stderr, tt.stderr) || code == 0 && stderr != "" {
				t.Errorf("%s: store %s = %d\n%s\n%s, want %d\n%s\n%s", db, tt.args, code, stdout, stderr, tt.code, tt.stdout, tt.stderr)
			}
		}
	}
}
