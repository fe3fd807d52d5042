package containers

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"soundcheck/lab/command"
)

// Logs returns what the containers of these services wrote since a time.
func (l *Lab) Logs(ctx context.Context, since time.Time, services ...string) ([][]byte, error) {
	args := []string{"logs", "--no-log-prefix", "--no-color", "--since", since.UTC().Format(time.RFC3339Nano)}
	b, err := l.output(ctx, append(args, services...)...)
	if err != nil {
		return nil, err
	}
	return [][]byte{b}, nil
}

// Exec runs a command in the container of a service, and returns its output.
func (l *Lab) Exec(ctx context.Context, service string, args ...string) ([]byte, error) {
	return l.output(ctx, append([]string{"exec", "-T", service}, args...)...)
}

func (l *Lab) output(ctx context.Context, args ...string) ([]byte, error) {
	out, stderr, err := command.Output(ctx, command.Default, func(ctx context.Context) *exec.Cmd { return l.Command(ctx, args...) })
	if err != nil {
		return nil, fmt.Errorf("docker compose %s: %w: %s", strings.Join(args, " "), err, stderr)
	}
	return out, nil
}
