// Package kubetest has a kubectl and a helm for tests of programs that run them. A cluster is a folder, and a
// context of kubectl's configuration: tests with clusters of their own run in parallel.
package kubetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Main runs the tests of a package with the stand-ins in PATH. In a process that such a test has started, the
// test binary is kubectl or helm instead.
func Main(tests func() int) int {
	if program := filepath.Base(os.Args[0]); program == "kubectl" || program == "helm" {
		if err := standIn(program, filepath.Dir(os.Args[0]), os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	dir, err := os.MkdirTemp("", "soundcheck-kubetest-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	exe, err := os.Executable()
	for _, program := range []string{"kubectl", "helm"} {
		err = errors.Join(err, os.Symlink(exe, filepath.Join(dir, program)))
	}
	// With -race a process would sleep a second before it exits.
	err = errors.Join(err, os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")))
	if err = errors.Join(err, os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))); err != nil {
		panic(err)
	}
	folder = dir
	return tests()
}

// folder has the stand-ins, and the clusters.
var folder string

// Only leaves a program in PATH, and nothing else.
func Only(t *testing.T, program string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(folder, program), filepath.Join(dir, program)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
}

// Cluster is a cluster of a test.
type Cluster struct {
	Context string // of kubectl's configuration
	t       *testing.T
	dir     string
}

// New returns a cluster without any objects. The namespace of its context is "mine".
func New(t *testing.T) *Cluster {
	t.Helper()
	dir, err := os.MkdirTemp(folder, "cluster-")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{filepath.Base(dir), t, dir}
	c.Write("namespace", "mine")
	return c
}

// Lab installs the lab's release in the namespace of this name, with what it says about load.
func (c *Cluster) Lab(namespace string, load map[string]string) {
	c.t.Helper()
	c.Write("services proxy", text(object("lab", namespace, "soundcheck", "lab", "proxy-service", map[string]any{"spec": map[string]any{"ports": []any{map[string]any{"port": 9070}}}})))
	if load != nil {
		c.Write("configmaps load", text(object("lab-load", namespace, "soundcheck", "lab", "load", map[string]any{"data": load})))
	}
}

// Pod sets the status, in JSON, of the coordinator's pod of the release that helm has installed.
func (c *Cluster) Pod(status string) {
	c.t.Helper()
	release := strings.Fields(c.Read("release")) // name and namespace
	c.Write("pods coordinator", text(object(release[0]+"-coordinator-abcde", release[1], "soundcheck-load", release[0], "coordinator", map[string]any{"status": json.RawMessage(status)})))
}

// Write sets a file of the cluster:
//
//	namespace              of the context
//	KIND NAME              an object, in JSON
//	target                 address that a port-forward reaches; without it, pods do not run
//	log                    of pods
//	fail PROGRAM COMMAND   what the command writes to stderr, with exit code 1
//	wait PROGRAM COMMAND   the command waits until it is terminated
//
// The file is renamed into place: a running command reads the old text or the new one, never a part.
func (c *Cluster) Write(name, text string) {
	c.t.Helper()
	if err := write(c.dir, name, text); err != nil {
		c.t.Fatal(err)
	}
}

// Read returns a file; "" if there is none. Those of helm install are "values" (its stdin), "chart" (the names
// of its files) and "release" (name and namespace).
func (c *Cluster) Read(name string) string {
	b, _ := os.ReadFile(filepath.Join(c.dir, name))
	return string(b)
}

// Calls returns the commands so far of one program, such as "helm", or all with "". The temporary folder of a chart is DIR.
func (c *Cluster) Calls(program string) (list []string) {
	for line := range strings.Lines(c.Read("calls")) {
		if strings.HasPrefix(line, program) {
			list = append(list, strings.TrimSpace(line))
		}
	}
	return list
}

// Wait waits until a file exists, and returns it; "" if the test ends before.
func (c *Cluster) Wait(name string) string {
	for c.t.Context().Err() == nil {
		if text := c.Read(name); text != "" {
			return text
		}
		time.Sleep(time.Millisecond)
	}
	return ""
}

func write(dir, name, text string) error {
	part := filepath.Join(dir, ".new "+name) // no list finds it
	return errors.Join(os.WriteFile(part, []byte(text), 0o600), os.Rename(part, filepath.Join(dir, name)))
}

func text(v any) string {
	b, _ := json.Marshal(v) // of maps and strings
	return string(b)
}

// object is an object of Kubernetes with the labels of a chart.
func object(name, namespace, partOf, instance, component string, more map[string]any) map[string]any {
	o := map[string]any{"metadata": map[string]any{"name": name, "namespace": namespace, "labels": map[string]string{"app.kubernetes.io/part-of": partOf,
		"app.kubernetes.io/instance": instance, "app.kubernetes.io/component": component}}}
	for key, value := range more {
		o[key] = value
	}
	return o
}
