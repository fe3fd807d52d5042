package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

const waits = "SOUNDCHECK_TEST_WAITS" // for signals, instead of the tests

func TestMain(m *testing.M) {
	if os.Getenv(waits) == "" {
		os.Exit(m.Run())
	}
	Main("waits", func(ctx context.Context, _ []string, _ func(string) string, stdout, _ io.Writer) error {
		fmt.Fprintln(stdout, "begun")
		<-ctx.Done()
		fmt.Fprintln(stdout, "ended")
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test closes it
		return nil
	})
}

// A closed terminal ends a program as Ctrl-C does, however often SIGHUP comes. Under nohup it does not.
func TestHangup(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, start string
		signals     []syscall.Signal
	}{
		{"SIGHUP, twice", `exec "$0"`, []syscall.Signal{syscall.SIGHUP, syscall.SIGHUP}},
		{"SIGTERM, then SIGHUP", `exec "$0"`, []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP}},
		{"nohup", `trap "" HUP; exec "$0"`, []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("sh", "-c", tt.start, os.Args[0])
			cmd.Env = append(os.Environ(), waits+"=true")
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			lines := bufio.NewScanner(out)
			expect := func(want string) {
				if !lines.Scan() || lines.Text() != want {
					t.Fatalf("%q, want %q", lines.Text(), want)
				}
			}
			expect("begun")
			for i, s := range tt.signals {
				if err := cmd.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
				if i == 0 && tt.name != "nohup" || i == 1 && tt.name == "nohup" {
					expect("ended")
				}
			}
			if err := in.Close(); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v, want success", err)
			}
		})
	}
}
