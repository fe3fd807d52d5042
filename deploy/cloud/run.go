package cloud

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// tofu runs OpenTofu or Terraform in a root module, on the user's terminal: it shows plans and asks.
func (c *Cloud) tofu(ctx context.Context, module string, args ...string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	cmd := exec.CommandContext(ctx, c.tool, append([]string{"-chdir=" + c.dir(module)}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	// It stops at the first interrupt and writes its state. A second one would make it exit at once: Ctrl-C in a terminal
	// reaches it without our help.
	cmd.Cancel = func() error {
		if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return nil
		}
		return cmd.Process.Signal(syscall.SIGINT)
	}
	c.step(c.tool + " " + args[0] + " in " + c.dir(module))
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s %s in %s: %w", c.tool, args[0], c.dir(module), err)
	}
	return nil
}

// output runs a command and returns what it prints. Its arguments are no secrets: an error has them.
func (c *Cloud) output(ctx context.Context, stdin string, argv ...string) (string, error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

func (c *Cloud) kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	return c.output(ctx, stdin, append([]string{"kubectl", "--context", c.out.Context}, args...)...)
}

// kubectlApply creates or changes objects. With server-side apply, no annotation repeats what a Secret has.
func (c *Cloud) kubectlApply(ctx context.Context, manifest string) error {
	_, err := c.kubectl(ctx, manifest, "apply", "--server-side", "--force-conflicts", "--field-manager=soundcheck", "-f", "-")
	return err
}

// objects returns TYPE/NAME of objects that a JSONPath template selects.
func (c *Cloud) objects(ctx context.Context, kind, template string, args ...string) ([]string, error) {
	out, err := c.kubectl(ctx, "", append([]string{"get", kind, "-o", "jsonpath=" + template}, args...)...)
	return strings.Fields(out), err
}

// awaitDeletion waits for objects whose end is that of something in the cloud.
func (c *Cloud) awaitDeletion(ctx context.Context, names []string, flags ...string) error {
	if len(names) == 0 {
		return nil
	}
	c.step("waiting until the cloud has deleted " + strings.Join(names, ", "))
	_, err := c.kubectl(ctx, "", append(append([]string{"wait", "--for=delete", "--timeout=5m"}, flags...), names...)...)
	return err
}
