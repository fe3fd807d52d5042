package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"soundcheck/deploy/cluster"
)

// decode reads a YAML document of deploy/.
func decode(t *testing.T, name string, v any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err == nil {
		err = yaml.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// The ports that k3d publishes are the node ports of the values, and go to the ports of the native
// lab.
func TestK3dPorts(t *testing.T) {
	var config struct {
		Image      string
		Ports      []struct{ Port string }
		Registries struct {
			Create struct{ Name, Host, HostPort, Image string }
		}
	}
	decode(t, "k3d/cluster.yaml", &config)
	var values struct {
		Service struct {
			Type      string
			NodePorts map[string]map[string]int
		}
	}
	text, err := os.ReadFile("k3d/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(bytes.ReplaceAll(text, []byte("nodePorts"), []byte("nodeports")), &values); err != nil {
		t.Fatal(err)
	}
	nodePorts := map[int]bool{}
	for _, list := range values.Service.NodePorts {
		for _, port := range list {
			nodePorts[port] = true
		}
	}
	published := map[int]bool{}
	for _, p := range config.Ports {
		var local, node int
		if _, err := fmt.Sscanf(p.Port, "127.0.0.1:%d:%d", &local, &node); err != nil {
			t.Errorf("port %q: %v: publish it on 127.0.0.1", p.Port, err)
		}
		published[local] = true
		if node != 80 && !nodePorts[node] { // 80: Traefik
			t.Errorf("port %d is published, and no Service has it", node)
		}
		delete(nodePorts, node)
	}
	if len(nodePorts) > 0 {
		t.Errorf("node ports that are not published: %v", nodePorts)
	}
	for _, p := range ports {
		for _, local := range p.local {
			if p.component != "edge" && !published[local] {
				t.Errorf("port %d of %s is not published", local, p.component)
			}
		}
	}
	pinned := regexp.MustCompile(`:[v\d][\w.-]+@sha256:[0-9a-f]{64}$`)
	if !pinned.MatchString(config.Image) || !pinned.MatchString(config.Registries.Create.Image) {
		t.Errorf("images %s and %s are not pinned", config.Image, config.Registries.Create.Image)
	}
}

// All say the same about the gateway: where the Collector is, which service it is, and the settings of
// k3s' Traefik.
func TestGatewayFiles(t *testing.T) {
	var k3s struct {
		Spec struct{ ValuesContent string }
	}
	text, err := os.ReadFile("gateway/traefik/k3s.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(bytes.ReplaceAll(text, []byte("valuesContent"), []byte("valuescontent")), &k3s); err != nil {
		t.Fatal(err)
	}
	values, err := os.ReadFile("gateway/traefik/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, want, _ := strings.Cut(string(values), "\nproviders:")
	if got := strings.TrimSpace(k3s.Spec.ValuesContent); got != "providers:"+strings.TrimRight(want, "\n") {
		t.Errorf("k3s.yaml has other values than values.yaml:\n%s", got)
	}
	envoy, err := os.ReadFile("gateway/envoy-gateway/tracing.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"Traefik": string(values), "Envoy Gateway": string(envoy)} {
		for _, part := range []string{"serviceName: edge\n", "soundcheck-otel-collector", "4317"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: no %q", name, part)
			}
		}
	}
	board, err := os.ReadFile("../dashboards/02-through-the-proxy.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(board, []byte(`service_name=\"edge\"`)) {
		t.Error("the dashboard shows another service than edge")
	}
	validate, err := os.ReadFile("charts/soundcheck/templates/validate.yaml")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("../docs/kubernetes-gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"validate.yaml": validate, "kubernetes-gateway.md": guide} {
		if !bytes.Contains(text, []byte(cluster.GatewayCRDs)) {
			t.Errorf("%s has another command than %s", name, cluster.GatewayCRDs)
		}
	}
}

// script runs a script with stubs of programs, and returns the calls of those, one a line.
func script(t *testing.T, path string, stubs map[string]string, args ...string) (calls, output string, code int) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "calls")
	for name, body := range stubs {
		text := "#!/bin/sh\necho \"" + name + " $*\" >>" + log + "\n" + body
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sh", "sed", "awk", "grep", "dirname"} {
		if found, err := exec.LookPath(name); err != nil {
			t.Fatal(err)
		} else if err := os.Symlink(found, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{path}, args...)...)
	cmd.Env = []string{"PATH=" + dir, "HOME=" + dir}
	out, _ := cmd.CombinedOutput()
	text, _ := os.ReadFile(log)
	return string(text), string(out), cmd.ProcessState.ExitCode()
}

// A recorded dry run: k3d itself needs Docker.
func TestK3dScript(t *testing.T) {
	const v59 = "case \"$1 $2\" in 'version ') echo 'k3d version v5.9.0' ;; 'cluster list') "
	here, err := filepath.Abs("k3d")
	if err != nil {
		t.Fatal(err)
	}
	create := "k3d cluster create --config " + here + "/cluster.yaml\n"
	for _, tt := range []struct {
		name, k3d, docker, arg string
		code                   int
		last, output           string // the last calls; a part of the output
	}{
		{"first up", v59 + ";; esac", "", "up", 0, create, ""},
		{"second up", v59 + "echo 'soundcheck 1/1 0/0 true' ;; esac", "", "up", 0,
			"k3d cluster start soundcheck\nk3d kubeconfig merge soundcheck --kubeconfig-merge-default --kubeconfig-switch-context\n", ""},
		{"another's cluster", v59 + "echo 'soundcheck2 1/1 0/0 true' ;; esac", "", "up", 0, create, ""},
		{"port taken", v59 + ";; 'cluster create') echo port is already allocated >&2; exit 1 ;; esac", "", "up", 1, create,
			"k3d: no cluster: if a port of 127.0.0.1 is taken, stop what uses it (make lab-down, make compose-down), then make k3d-up"},
		{"down", v59 + "echo 'soundcheck 1/1 0/0 true' ;; esac", "", "down", 0, "k3d cluster delete soundcheck\n", ""},
		{"nothing to stop", v59 + ";; esac", "", "down", 0, "", "k3d: no cluster soundcheck"},
		{"old k3d", "echo 'k3d version v5.4.9'", "", "up", 1, "", "k3d: k3d 5.4 is older than 5.6: install a newer one"},
		{"no Docker", v59 + ";; esac", "exit 1", "up", 1, "", "k3d: Docker's daemon does not respond"},
		{"no command", v59 + ";; esac", "", "", 1, "", "usage: k3d.sh up|down"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls, output, code := script(t, "k3d/k3d.sh", map[string]string{"k3d": tt.k3d, "docker": tt.docker}, tt.arg)
			if code != tt.code || !strings.HasSuffix(calls, tt.last) || !strings.Contains(output, tt.output) {
				t.Errorf("exit code %d, calls\n%soutput\n%s", code, calls, output)
			}
			if tt.last == "" && strings.Contains(calls, "create") {
				t.Errorf("a cluster was created:\n%s", calls)
			}
		})
	}
	if _, output, code := script(t, "k3d/k3d.sh", map[string]string{"docker": ""}, "up"); code != 1 || !strings.Contains(output, "k3d command not found: install k3d 5.6 or later (https://k3d.io/#installation)") {
		t.Errorf("without k3d: exit code %d, %s", code, output)
	}
}

func TestMicroK8sScript(t *testing.T) {
	const stub = `case "$*" in "status --addon dns") echo enabled ;; "status --addon"*) echo disabled ;; esac`
	calls, output, code := script(t, "microk8s/addons.sh", map[string]string{"microk8s": stub})
	var enabled []string
	for line := range strings.Lines(calls) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "microk8s enable "); ok {
			enabled = append(enabled, name)
		}
	}
	if want := []string{"hostpath-storage", "registry", "ingress"}; code != 0 || !slices.Equal(enabled, want) || output != "microk8s: dns is enabled\n" {
		t.Errorf("exit code %d, enabled %q, want %q, %s", code, enabled, want, output)
	}
	_, output, code = script(t, "microk8s/addons.sh", map[string]string{"microk8s": "exit 1"})
	if code != 1 || !strings.Contains(output, "microk8s: MicroK8s does not run, or you may not use it: microk8s start; ") {
		t.Errorf("not running: exit code %d, %s", code, output)
	}
	if _, output, code := script(t, "microk8s/addons.sh", nil); code != 1 || !strings.Contains(output, "microk8s command not found: sudo snap install microk8s") {
		t.Errorf("without MicroK8s: exit code %d, %s", code, output)
	}
}
