package debugging

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"strings"
	"sync"
)

// forward starts a command that forwards ports, and returns what it prints until it listens or ends.
func forward(ctx context.Context, wait *sync.WaitGroup, words []string) (string, error) {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	wait.Go(func() {
		err := cmd.Wait()
		_ = w.Close()
		ended <- err
	})
	var output strings.Builder
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		output.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "Forwarding from ") {
			wait.Go(func() { _, _ = io.Copy(io.Discard, r) })
			return output.String(), nil
		}
	}
	return output.String(), <-ended
}
