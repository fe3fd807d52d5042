package kubetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// call is one call of a stand-in. It knows the commands, and the flags, that the project uses.
type call struct {
	program, dir string
	args         []string
}

// value returns the value of a flag.
func (c call) value(flag string) string {
	i := slices.Index(c.args, flag)
	if i < 0 || i+1 >= len(c.args) {
		return ""
	}
	return c.args[i+1]
}

// standIn does as kubectl or helm.
func standIn(program, folder string, args []string) error {
	c := call{program: program, args: args}
	flag := map[string]string{"kubectl": "--context", "helm": "--kube-context"}[program]
	name := c.value(flag)
	if name == "" {
		return errors.New("error: current-context is not set")
	}
	i := slices.Index(args, flag)
	c.args = slices.Delete(slices.Clone(args), i, i+2)
	c.dir = filepath.Join(folder, name)
	if err := c.log(); err != nil {
		return err
	}
	command := program + " " + c.args[0]
	if c.args[0] == "get" {
		command += " " + c.args[1]
	}
	if b, err := os.ReadFile(filepath.Join(c.dir, "fail "+command)); err == nil {
		return errors.New(string(b))
	}
	if _, err := os.Stat(filepath.Join(c.dir, "wait "+command)); err == nil {
		terminated := make(chan os.Signal, 1)
		signal.Notify(terminated, syscall.SIGTERM)
		if err := write(c.dir, "waits "+command, "yes"); err != nil {
			return err
		}
		<-terminated
		return errors.New("Error: context canceled")
	}
	switch command {
	case "helm install":
		return c.install()
	case "helm uninstall":
		return errors.Join(os.RemoveAll(filepath.Join(c.dir, "services coordinator")), os.RemoveAll(filepath.Join(c.dir, "pods coordinator")))
	case "kubectl config":
		return c.print("namespace")
	case "kubectl get services", "kubectl get configmaps", "kubectl get pods":
		return c.list(c.args[1])
	case "kubectl logs":
		return c.print("log")
	case "kubectl port-forward":
		return c.forward()
	}
	return fmt.Errorf("error: unknown command %q", command)
}

func (c call) log() error {
	f, err := os.OpenFile(filepath.Join(c.dir, "calls"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	line := c.program + " " + strings.Join(c.args, " ")
	if c.args[0] == "install" && len(c.args) > 2 {
		line = strings.ReplaceAll(line, filepath.Dir(c.args[2]), "DIR")
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

func (c call) print(name string) error {
	b, err := os.ReadFile(filepath.Join(c.dir, name))
	_, err2 := os.Stdout.Write(b)
	return errors.Join(err, err2)
}

// install stores the values of stdin and the names of the chart's files, and installs the coordinator's service.
func (c call) install() error {
	release, chart, namespace := c.args[1], c.args[2], c.value("--namespace")
	if !slices.Contains(c.args, "-") {
		return errors.New("Error: no values from stdin")
	}
	values, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var files []string
	err = filepath.WalkDir(chart, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(path, chart+"/"))
		}
		return err
	})
	service := object(release+"-coordinator", namespace, "soundcheck-load", release, "coordinator", map[string]any{"spec": map[string]any{"ports": []any{map[string]any{"port": 7070}}}})
	return errors.Join(err, write(c.dir, "chart", strings.Join(files, "\n")), write(c.dir, "services coordinator", text(service)),
		write(c.dir, "release", release+" "+namespace), write(c.dir, "values", string(values)))
}

// list prints the objects of a kind that have the labels of the selector, in the namespace.
func (c call) list(kind string) error {
	paths, err := filepath.Glob(filepath.Join(c.dir, kind+" *"))
	if err != nil {
		return err
	}
	own, err := os.ReadFile(filepath.Join(c.dir, "namespace"))
	if err != nil {
		return err
	}
	namespace := c.value("--namespace")
	if namespace == "" {
		namespace = string(own)
	}
	items := []json.RawMessage{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // removed since
			continue
		}
		var o struct {
			Metadata struct {
				Namespace string
				Labels    map[string]string
			}
		}
		if err = errors.Join(err, json.Unmarshal(b, &o)); err != nil {
			return err
		}
		other := slices.ContainsFunc(strings.Split(c.value("--selector"), ","), func(label string) bool {
			name, value, _ := strings.Cut(label, "=")
			return o.Metadata.Labels[name] != value
		})
		if !other && (o.Metadata.Namespace == namespace || slices.Contains(c.args, "--all-namespaces")) {
			items = append(items, b)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"items": items})
}

// forward forwards to the address in the file target.
func (c call) forward() error {
	b, err := os.ReadFile(filepath.Join(c.dir, "target"))
	if err != nil {
		return errors.New("error: unable to forward port because pod is not running. Current status=Pending")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("Forwarding from %s -> %s\n", l.Addr(), strings.TrimPrefix(c.args[len(c.args)-1], ":"))
	for {
		client, err := l.Accept()
		if err != nil {
			return err
		}
		server, err := net.Dial("tcp", string(b))
		if err != nil {
			return errors.New("error: lost connection to pod")
		}
		go func() {
			var both sync.WaitGroup
			both.Go(func() { _, _ = io.Copy(server, client); _ = server.(*net.TCPConn).CloseWrite() })
			_, _ = io.Copy(client, server)
			client.Close()
			both.Wait()
		}()
	}
}
