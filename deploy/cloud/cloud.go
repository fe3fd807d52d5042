// Package cloud creates and deletes the lab in a cloud: it runs OpenTofu or Terraform in deploy/terraform, and does between
// the two root modules what belongs in neither state: kubectl's configuration, images, and the password of a
// managed database.
package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"soundcheck/deploy/cluster"
)

// Names are those of the root modules of a cloud, each with the programs that it needs.
var Names = map[string][]string{
	"gke": {"gcloud", "gke-gcloud-auth-plugin", "kubectl"},
	"eks": {"aws", "kubectl"},
}

// Cloud is the lab in a cloud.
type Cloud struct {
	Name           string // of Names
	Dir            string // deploy/terraform of the repository
	Kubeconfig     string // file of kubectl's configuration; "": ~/.kube/config
	Approve        bool   // do not ask
	Values         []string
	Release        cluster.Release
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Push builds our images and pushes them. It returns a values file with their tags.
	Push func(ctx context.Context, registry, user, password, platform string) (file string, err error)

	tool string        // tofu or terraform
	poll time.Duration // interval of looking whether something is created or deleted
	out  outputs
}

// outputs are those of the root module, which deploy/terraform/*/outputs.tf describes.
type outputs struct {
	Context          string    `json:"context"`
	Kubeconfig       []string  `json:"kubeconfig"`
	Registry         string    `json:"registry"`
	RegistryUser     string    `json:"registry_user"`
	RegistryPassword []string  `json:"registry_password"`
	Platform         string    `json:"platform"`
	Manifests        string    `json:"manifests"`
	Protected        bool      `json:"deletion_protection"`
	Database         *database `json:"database"`
}

// Up creates the cluster, pushes the images and installs the chart. It can be repeated.
func (c *Cloud) Up(ctx context.Context) error {
	if err := c.find(); err != nil {
		return err
	}
	if c.poll == 0 {
		c.poll = 3 * time.Second
	}
	if err := c.apply(ctx, c.Name); err != nil {
		return err
	}
	if err := c.connect(ctx); err != nil {
		return err
	}
	if c.out.Manifests != "" {
		c.step("creating storage and nodes in the cluster")
		if err := c.applyManifests(ctx); err != nil {
			return err
		}
	}
	password, err := c.output(ctx, "", c.out.RegistryPassword...)
	if err != nil {
		return fmt.Errorf("password of registry %s: %w", c.out.Registry, err)
	}
	images, err := c.Push(ctx, c.out.Registry, c.out.RegistryUser, strings.TrimSpace(password), c.out.Platform)
	if err != nil {
		return err
	}
	secret, err := c.databaseSecret(ctx)
	if err != nil {
		return err
	}
	vars, err := c.releaseVars(images, secret)
	if err != nil {
		return err
	}
	return c.apply(ctx, "release", vars...)
}

// Down uninstalls the chart, deletes its volumes, and then the cluster with everything else: a disk or load balancer that
// the cluster has created would stay, and could keep the network from being deleted.
func (c *Cloud) Down(ctx context.Context) error {
	if err := c.find(); err != nil {
		return err
	}
	if c.poll == 0 {
		c.poll = 3 * time.Second
	}
	if err := c.tofu(ctx, c.Name, "init", "-input=false"); err != nil {
		return err
	}
	err := c.readOutputs(ctx)
	if err == nil && c.out.Protected { // destroy would fail, after the volumes are deleted
		return fmt.Errorf("deletion_protection is true, nothing was deleted: set it to false in %s, run go run ./deploy %s up, and then down", filepath.Join(c.dir(c.Name), "terraform.tfvars"), c.Name)
	}
	if err == nil {
		c.step("down deletes release soundcheck of " + c.out.Context + ", its volumes with all data, and then the cluster")
		err = c.uninstall(ctx)
	} else if errors.Is(err, errNoOutputs) {
		c.step("the state of " + c.dir(c.Name) + " has no cluster: there is no release to uninstall")
		err = nil
	}
	if err != nil {
		return fmt.Errorf("%w\nif your address is not in authorized_networks any more, change it and run up; if the cluster is gone, delete the rest with %s -chdir=%s destroy, and then look for disks", err, c.tool, c.dir(c.Name))
	}
	return c.tofu(ctx, c.Name, c.approved("destroy")...)
}

// uninstall leaves a cluster without volumes and load balancers.
func (c *Cloud) uninstall(ctx context.Context) error {
	if err := c.connectKubectl(ctx); err != nil {
		return err
	}
	if err := c.Release.FindNames(ctx); err != nil {
		return err
	}
	made, err := c.made(ctx)
	if err != nil {
		return err
	}
	if err := c.tofu(ctx, "release", "init", "-input=false"); err != nil {
		return err
	}
	if err := c.tofu(ctx, "release", "workspace", "select", "-or-create", c.Name); err != nil {
		return err
	}
	// Destroy needs the variables' values, and nothing that up has made: no images, no Secret.
	none, err := os.CreateTemp("", "soundcheck-images-*.json")
	if err != nil {
		return err
	}
	defer os.Remove(none.Name())
	if _, err := io.WriteString(none, "{}\n"); err != nil {
		return err
	}
	if err := none.Close(); err != nil {
		return err
	}
	vars, err := c.releaseVars(none.Name(), "")
	if err != nil {
		return err
	}
	if err := c.tofu(ctx, "release", append(c.approved("destroy"), vars...)...); err != nil {
		return err
	}
	if err := c.Release.DeleteLeftOvers(ctx); err != nil {
		return err
	}
	if err := c.Release.AwaitEnd(ctx); err != nil {
		return err
	}
	kept, err := c.Release.Kept(ctx)
	if err != nil {
		return err
	}
	if len(kept) > 0 {
		if err := c.Release.Delete(ctx, kept); err != nil {
			return err
		}
	}
	return c.awaitDeletion(ctx, made)
}

// apply shows the plan of a root module, asks, and applies it.
func (c *Cloud) apply(ctx context.Context, module string, vars ...string) error {
	if err := c.tofu(ctx, module, "init", "-input=false"); err != nil {
		return err
	}
	if module == "release" { // its state is that of one cloud
		if err := c.tofu(ctx, module, "workspace", "select", "-or-create", c.Name); err != nil {
			return err
		}
	}
	return c.tofu(ctx, module, append(c.approved("apply"), vars...)...)
}

// approved returns a command that shows a plan and asks, unless -approve is set.
func (c *Cloud) approved(name string) []string {
	if c.Approve {
		return []string{name, "-auto-approve"}
	}
	return []string{name}
}

// connect reads the outputs and adds the cluster to kubectl's configuration.
func (c *Cloud) connect(ctx context.Context) error {
	if err := c.readOutputs(ctx); err != nil {
		return err
	}
	return c.connectKubectl(ctx)
}

func (c *Cloud) connectKubectl(ctx context.Context) error {
	c.step("adding context " + c.out.Context + " to kubectl's configuration")
	if _, err := c.output(ctx, "", c.out.Kubeconfig...); err != nil {
		return err
	}
	c.Release.Context = c.out.Context
	return nil
}

var errNoOutputs = errors.New("the state has no outputs: nothing was created")

func (c *Cloud) readOutputs(ctx context.Context) error {
	text, err := c.output(ctx, "", c.tool, "-chdir="+c.dir(c.Name), "output", "-json")
	if err != nil {
		return err
	}
	var found map[string]struct{ Value json.RawMessage }
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		return fmt.Errorf("%s output: %w", c.tool, err)
	}
	values := map[string]json.RawMessage{}
	for name, o := range found {
		values[name] = o.Value
	}
	if len(values["context"]) == 0 {
		return errNoOutputs
	}
	joined, err := json.Marshal(values)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(joined, &c.out); err != nil {
		return fmt.Errorf("outputs of %s: %w", c.dir(c.Name), err)
	}
	if len(c.out.Kubeconfig) == 0 || len(c.out.RegistryPassword) == 0 {
		return fmt.Errorf("outputs of %s are incomplete: run %s apply there", c.dir(c.Name), c.tool)
	}
	return nil
}

// releaseVars are the variables of deploy/terraform/release.
func (c *Cloud) releaseVars(images, secret string) ([]string, error) {
	vars := map[string]string{"context": c.out.Context, "registry": c.out.Registry, "images": images, "database_secret": secret, "namespace": c.Release.Namespace}
	if c.Kubeconfig != "" { // -chdir changes what a relative path names
		path, err := filepath.Abs(c.Kubeconfig)
		if err != nil {
			return nil, err
		}
		vars["kubeconfig"] = path
	}
	files := []string{}
	for _, name := range c.Values {
		path, err := filepath.Abs(name)
		if err != nil {
			return nil, err
		}
		files = append(files, path)
	}
	list, err := json.Marshal(files)
	vars["values"] = string(list)
	var args []string
	for name, value := range vars {
		args = append(args, "-var="+name+"="+value)
	}
	slices.Sort(args)
	return args, err
}

// find finds the programs.
func (c *Cloud) find() error {
	for _, name := range []string{"tofu", "terraform"} {
		if _, err := exec.LookPath(name); err == nil && c.tool == "" {
			c.tool = name
		}
	}
	if c.tool == "" {
		return errors.New("neither tofu nor terraform is in PATH: install OpenTofu 1.10 or later (https://opentofu.org/docs/intro/install), or Terraform 1.9 or later")
	}
	for _, name := range Names[c.Name] {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%s is not in PATH: docs/%s.md lists what is needed", name, c.Name)
		}
	}
	return nil
}

func (c *Cloud) dir(module string) string { return filepath.Join(c.Dir, module) }

func (c *Cloud) step(text string) { c.Release.Progress.Line(text) }
