package cloud

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
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

// kinds is how long a new cluster may take to know the kinds of nodes.
const kinds = 5 * time.Minute

// applyManifests creates storage and nodes. A new cluster is active before it knows the kind NodePool.
func (c *Cloud) applyManifests(ctx context.Context) error {
	defer c.Release.Progress.Clear()
	for begun := time.Now(); ; {
		err := c.kubectlApply(ctx, c.out.Manifests)
		if err == nil || !strings.Contains(err.Error(), "no matches for kind") || time.Since(begun) > kinds {
			return err
		}
		c.Release.Progress.Show(fmt.Sprintf("waiting until the cluster knows the kinds of nodes, %.0f s", time.Since(begun).Seconds()))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.poll):
		}
	}
}

// made returns what the cluster has created in the cloud for the release, as TYPE/NAME: disks and load balancers.
func (c *Cloud) made(ctx context.Context) ([]string, error) {
	var names []string
	for _, args := range [][]string{
		{"persistentvolumes", "-o", `jsonpath={range .items[?(@.spec.claimRef.namespace=="` + c.Release.Namespace + `")]}persistentvolume/{.metadata.name} {end}`},
		{"services", "-o", `jsonpath={range .items[?(@.spec.type=="LoadBalancer")]}service/{.metadata.name} {end}`, "-n", c.Release.Namespace},
	} {
		out, err := c.kubectl(ctx, "", append([]string{"get"}, args...)...)
		if err != nil {
			return nil, err
		}
		names = append(names, strings.Fields(out)...)
	}
	return names, nil
}

// deletion is how long the cloud may take to delete disks and load balancers.
const deletion = 10 * time.Minute

// awaitDeletion waits until the cloud has deleted what the cluster has made.
func (c *Cloud) awaitDeletion(ctx context.Context, names []string) error {
	defer c.Release.Progress.Clear()
	for begun := time.Now(); len(names) > 0; {
		c.Release.Progress.Show(fmt.Sprintf("waiting until the cloud has deleted %s, %.0f s", strings.Join(names, ", "), time.Since(begun).Seconds()))
		now, err := c.made(ctx)
		if err != nil {
			return err
		}
		names = slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(now, name) })
		if len(names) == 0 {
			break
		}
		if time.Since(begun) > deletion {
			return fmt.Errorf("the cloud has not deleted %s within %s: see kubectl --context %s describe %s", strings.Join(names, ", "), deletion, c.out.Context, names[0])
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.poll):
		}
	}
	return nil
}
