package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain is kubectl or helm, if the binary is called so: see fake.
func TestMain(m *testing.M) {
	programs := map[string]func(dir string, args []string) error{"kubectl": kubectlMain, "helm": helmMain}
	if program := programs[filepath.Base(os.Args[0])]; program != nil {
		if err := program(filepath.Dir(os.Args[0]), os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	startTimeout, renewTimeout = 5*time.Minute, 5*time.Minute
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")) // with the race detector, each call would last for a second longer
	os.Exit(m.Run())
}

// fake is a kubectl whose cluster is a folder: what it prints is in a file with the name of the call.
// It does what the real one does, as far as it is used.
type fake struct {
	kubectl
	t   *testing.T
	dir string
}

func newFake(t *testing.T) fake {
	t.Helper()
	dir := t.TempDir()
	exe, err := os.Executable()
	path := filepath.Join(dir, "kubectl")
	if err = errors.Join(err, os.Symlink(exe, path)); err != nil {
		t.Fatal(err)
	}
	return fake{kubectl{path: path}, t, dir}
}

// write stores what kubectl prints. A text that begins with "error" goes to stderr. The file is renamed
// into place: a running kubectl reads the old text or the new one, never a part.
func (f fake) write(name, text string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	err := os.WriteFile(path+".new", []byte(text), 0o644)
	if err = errors.Join(err, os.Rename(path+".new", path)); err != nil {
		f.t.Fatal(err)
	}
}

// eventually waits until a condition is true, for at most 5 minutes.
func eventually(what string, ok func() bool) error {
	for deadline := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("not within 5 minutes: " + what)
		}
	}
	return nil
}

func (f fake) remove(name string) {
	f.t.Helper()
	if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
		f.t.Fatal(err)
	}
}

// read returns a file; "" if there is none.
func (f fake) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(f.dir, name))
	return string(b)
}

// kubectlMain does as kubectl.
func kubectlMain(dir string, args []string) error {
	if err := logCall(dir, args); err != nil {
		return err
	}
	if args[0] == "--context" {
		args = args[2:]
	}
	name := args[0]
	value := func(flag string) string {
		i := slices.Index(args, flag)
		if i < 0 {
			return ""
		}
		return args[i+1]
	}
	switch name {
	case "get":
		name += " " + args[1]
		if slices.Contains(args, "--all-namespaces") {
			name += " all"
		} else if n := value("--namespace"); n != "" {
			name += " " + n
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case errors.Is(err, os.ErrNotExist):
			b = []byte(`{"items":[]}`)
		case err == nil && strings.HasPrefix(strings.ToLower(string(b)), "error"):
			return errors.New(string(b))
		}
		_, err = os.Stdout.Write(selected(b, value("--selector")))
		return err
	case "exec":
		if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil { // the command fails
			return fmt.Errorf("%scommand terminated with exit code 1", b)
		}
		_, err := fmt.Println(strings.Join(args, " "))
		return err
	case "logs":
		switch {
		case slices.Contains(args, "--follow"):
			name += " follow"
		case slices.Contains(args, "--previous"):
			name += " previous"
		default:
			name += " " + args[1]
		}
		if err := printed(dir, name); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(dir, "follow ends")); strings.HasSuffix(name, "follow") && err != nil {
			stopped := make(chan os.Signal, 1)
			signal.Notify(stopped, syscall.SIGTERM)
			<-stopped
		}
		return nil
	case "config":
		return printed(dir, "config view")
	case "port-forward":
		return portForward(dir, args)
	}
	return fmt.Errorf("error: unknown command %q", name)
}

// selected returns the list of those objects that have the labels of a selector. What is no list of
// objects stays as it is.
func selected(list []byte, selector string) []byte {
	var all struct{ Items []json.RawMessage }
	if json.Unmarshal(list, &all) != nil {
		return list
	}
	all.Items = slices.DeleteFunc(all.Items, func(item json.RawMessage) bool {
		var o object
		_ = json.Unmarshal(item, &o) // an object without labels is not selected
		return slices.ContainsFunc(strings.Split(selector, ","), func(label string) bool {
			name, value, _ := strings.Cut(label, "=")
			return o.Metadata.Labels[name] != value
		})
	})
	b, _ := json.Marshal(map[string]any{"items": all.Items})
	return b
}

// logCall appends the arguments and the process to a file.
func logCall(dir string, args []string) error {
	f, err := os.OpenFile(filepath.Join(dir, "calls"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%d %s\n", os.Getpid(), strings.Join(args, " "))
	return errors.Join(err, f.Close())
}

func printed(dir, name string) error {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err == nil && strings.HasPrefix(strings.ToLower(string(b)), "error") {
		return errors.New(string(b))
	}
	_, err2 := os.Stdout.Write(b)
	return errors.Join(err, err2)
}

// portForward forwards to the address in the file target, until the target does not respond.
func portForward(dir string, args []string) error {
	b, err := os.ReadFile(filepath.Join(dir, "target"))
	if err != nil {
		return errors.New("error: unable to forward port because pod is not running. Current status=Pending")
	}
	if strings.HasPrefix(string(b), "Error") {
		return errors.New(string(b))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("Forwarding from %s -> %s\n", l.Addr(), strings.TrimPrefix(args[len(args)-1], ":"))
	for {
		client, err := l.Accept()
		if err != nil {
			return err
		}
		fmt.Println("Handling connection")
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
