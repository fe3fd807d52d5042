package cloud

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"soundcheck/deploy/cluster"
	"soundcheck/internal/cli"
)

// The stubs are for the order of steps and for failures: no cloud is here.
const stub = `#!/bin/sh
name=$(basename "$0")
echo "$name $*" >>"$STUB/calls"
case "$name $*" in
*" output -json") cat "$STUB/outputs" ;;
"tofu "*" apply"* | "tofu "*" destroy"*) if [ -e "$STUB/no" ]; then echo "Apply cancelled." >&2; exit 1; fi ;;
"gcloud auth print-access-token") echo token-of-gcloud ;;
"gcloud sql users"*)
	for a; do case $a in --flags-file=*) cp "${a#--flags-file=}" "$STUB/flags" ;; esac; done ;;
"aws ecr get-login-password"*) echo token-of-aws ;;
"aws secretsmanager"*) cat "$STUB/secret" ;;
"kubectl "*" apply "*)
	if [ -e "$STUB/new" ]; then rm "$STUB/new"; echo 'error: no matches for kind "NodePool" in version "karpenter.sh/v1"' >&2; exit 1; fi
	if [ -e "$STUB/forbidden" ]; then echo "Error from server (Forbidden)" >&2; exit 1; fi
	echo >>"$STUB/applied"; cat >>"$STUB/applied" ;;
"kubectl "*" get secret soundcheck-database"*) if [ -e "$STUB/known" ]; then cat "$STUB/known"; fi ;;
"kubectl "*" delete -n soundcheck "*) echo x >"$STUB/deleted" ;;
"kubectl "*" get persistentvolumes "*)
	if [ -e "$STUB/deleted" ]; then echo x >>"$STUB/deleted"; fi
	case $(cat "$STUB/deleted" 2>/dev/null) in "x
x
x
x"*) ;; *) printf 'persistentvolume/pvc-1 ' ;; esac ;;
"kubectl "*" get services -o jsonpath"*) ;;
"kubectl "*" get persistentvolumeclaims,secrets "*) echo '{"items":[{"kind":"PersistentVolumeClaim","metadata":{"name":"data"}}]}' ;;
"kubectl "*" get persistentvolumeclaims "*) ;;
"kubectl "*" -o json") echo '{"items":[]}' ;;
esac
`

const gke = `{"context":{"value":"gke_p_z_soundcheck"},"kubeconfig":{"value":["gcloud","container","clusters","get-credentials","soundcheck"]},
"registry":{"value":"us-central1-docker.pkg.dev/p"},"registry_user":{"value":"oauth2accesstoken"},"registry_password":{"value":["gcloud","auth","print-access-token"]},
"platform":{"value":"linux/amd64"},"manifests":{"value":""},"database":{"value":null},"next":{"value":"…"}}`

var gkeManaged = strings.Replace(gke, `"database":{"value":null}`, `"database":{"value":{"host":"10.10.0.5","name":"albums","user":"postgres","get":[],
"set":["gcloud","sql","users","set-password","postgres","--instance","soundcheck-1a2b3c"]}}`, 1)

const eks = `{"context":{"value":"eks-soundcheck"},"kubeconfig":{"value":["aws","eks","update-kubeconfig"]},
"registry":{"value":"1.dkr.ecr.us-east-1.amazonaws.com"},"registry_user":{"value":"AWS"},"registry_password":{"value":["aws","ecr","get-login-password"]},
"platform":{"value":"linux/amd64"},"manifests":{"value":"{\"kind\":\"List\"}"},
"database":{"value":{"host":"db.example","name":"albums","user":"soundcheck","get":["aws","secretsmanager","get-secret-value"],"set":[]}}}`

// lab returns a lab whose programs are stubs, and their folder.
func lab(t *testing.T, name, outputs string, programs ...string) (c *Cloud, state string, stderr *bytes.Buffer) {
	t.Helper()
	state = t.TempDir()
	bin := t.TempDir()
	for _, p := range programs {
		if err := os.WriteFile(filepath.Join(bin, p), []byte(stub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, state, "outputs", outputs)
	for _, p := range []string{"sh", "cat", "basename", "cp", "rm"} { // of the stubs: a gcloud of this machine is not to be found
		path, err := exec.LookPath(p)
		if err == nil {
			err = os.Symlink(path, filepath.Join(bin, p))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	t.Setenv("STUB", state)
	stderr = &bytes.Buffer{}
	c = &Cloud{
		Name: name, Dir: "DIR", Stdout: stderr, Stderr: stderr,
		Release: cluster.Release{Name: "soundcheck", Namespace: "soundcheck", Progress: cli.NewProgress(stderr)},
		Push: func(_ context.Context, registry, user, password, platform string) (string, error) {
			f, err := os.OpenFile(filepath.Join(state, "calls"), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return "", err
			}
			_, err = f.WriteString("push " + registry + " " + user + " " + password + " " + platform + "\n")
			return "IMAGES", errors.Join(err, f.Close())
		},
	}
	return c, state, stderr
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return regexp.MustCompile(`soundcheck-[\w-]*\d+\.(yaml|json)`).ReplaceAllString(string(text), "TEMPORARY")
}

var all = []string{"tofu", "gcloud", "gke-gcloud-auth-plugin", "aws", "kubectl"}

func TestUp(t *testing.T) {
	c, state, stderr := lab(t, "gke", gke, all...)
	if err := c.Up(t.Context()); err != nil {
		t.Fatal(err, stderr)
	}
	want := `tofu -chdir=DIR/gke init -input=false
tofu -chdir=DIR/gke apply
tofu -chdir=DIR/gke output -json
gcloud container clusters get-credentials soundcheck
gcloud auth print-access-token
push us-central1-docker.pkg.dev/p oauth2accesstoken token-of-gcloud linux/amd64
tofu -chdir=DIR/release init -input=false
tofu -chdir=DIR/release workspace select -or-create gke
tofu -chdir=DIR/release apply -var=context=gke_p_z_soundcheck -var=database_secret= -var=images=IMAGES -var=namespace=soundcheck -var=registry=us-central1-docker.pkg.dev/p -var=values=[]
`
	if got := read(t, state, "calls"); got != want {
		t.Errorf("calls:\n%s\nwant:\n%s", got, want)
	}
}

// The password of RDS comes from Secrets Manager. It reaches the cluster's Secret, quoted, and nothing else.
func TestUpRDS(t *testing.T) {
	c, state, stderr := lab(t, "eks", eks, all...)
	t.Chdir(state)
	c.Approve, c.Kubeconfig, c.Values = true, "k", []string{"/my.yaml"}
	c.poll = time.Millisecond
	write(t, state, "new", "") // a cluster that does not know NodePool yet
	write(t, state, "secret", `{"username":"soundcheck","password":"p:w?#%\\"}`)
	if err := c.Up(t.Context()); err != nil {
		t.Fatal(err, stderr)
	}
	calls, applied := read(t, state, "calls"), read(t, state, "applied")
	for _, want := range []string{
		"tofu -chdir=DIR/eks apply -auto-approve\n",
		"kubectl --context eks-soundcheck apply --server-side --force-conflicts --field-manager=soundcheck -f -\n",
		"push 1.dkr.ecr.us-east-1.amazonaws.com AWS token-of-aws linux/amd64\n",
		`apply -auto-approve -var=context=eks-soundcheck -var=database_secret=soundcheck-database -var=images=IMAGES -var=kubeconfig=` + filepath.Join(state, "k") + ` -var=namespace=soundcheck -var=registry=1.dkr.ecr.us-east-1.amazonaws.com -var=values=["/my.yaml"]` + "\n",
	} {
		if !strings.Contains(calls, want) {
			t.Errorf("calls without %q:\n%s", want, calls)
		}
	}
	if want := `{"kind":"List"}`; !strings.Contains(applied, want) {
		t.Errorf("applied %s, want %s before the chart", applied, want)
	}
	if want := `"uri":"postgres://soundcheck:p%3Aw%3F%23%25%5C@db.example/albums?sslmode=require"`; !strings.Contains(applied, want) {
		t.Errorf("applied %s, want %s", applied, want)
	}
	if text := calls + stderr.String(); strings.Contains(text, "p:w") || strings.Contains(text, "p%3Aw") {
		t.Errorf("the password is in arguments or messages: %s", text)
	}
}

// Cloud SQL gets a random password, once for an instance, by a file that is deleted.
func TestUpCloudSQL(t *testing.T) {
	c, state, stderr := lab(t, "gke", gkeManaged, all...)
	if err := c.Up(t.Context()); err != nil {
		t.Fatal(err, stderr)
	}
	flags := regexp.MustCompile(`^--password: ([A-Z2-7]{26})\n$`).FindStringSubmatch(read(t, state, "flags"))
	if flags == nil {
		t.Fatalf("flags file %q", read(t, state, "flags"))
	}
	applied := read(t, state, "applied")
	if want := "postgres://postgres:" + flags[1] + "@10.10.0.5/albums?sslmode=require"; !strings.Contains(applied, want) {
		t.Errorf("applied %s, want %s", applied, want)
	}
	if calls := read(t, state, "calls"); strings.Contains(calls+stderr.String(), flags[1]) {
		t.Errorf("the password is in arguments or messages: %s", calls)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "soundcheck-*.yaml")); err != nil || len(left) > 0 {
		t.Errorf("files stay: %q, %v", left, err)
	}
	id := (&database{Host: "10.10.0.5", Set: []string{"gcloud", "sql", "users", "set-password", "postgres", "--instance", "soundcheck-1a2b3c"}}).id()
	for known, again := range map[string]bool{id: false, "of another instance": true} {
		write(t, state, "known", `{"metadata":{"annotations":{"soundcheck/database":"`+known+`"}}}`)
		write(t, state, "calls", "")
		if err := c.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(read(t, state, "calls"), "set-password"); got != again {
			t.Errorf("a Secret with the password %q: set again %t, want %t", known, got, again)
		}
	}
}

// Volumes and load balancers are gone before the cluster is.
func TestDown(t *testing.T) {
	c, state, stderr := lab(t, "gke", gke, all...)
	c.poll = time.Millisecond
	if err := c.Down(t.Context()); err != nil {
		t.Fatal(err, stderr)
	}
	calls := read(t, state, "calls")
	at := 0
	for _, want := range []string{
		"gke init", "gke output", "gcloud container clusters get-credentials", "get persistentvolumes", "workspace select -or-create gke",
		"tofu -chdir=DIR/release destroy -var=context=gke_p_z_soundcheck", "delete -n soundcheck --wait=false persistentvolumeclaim/data",
		"get persistentvolumes", "get services", "get persistentvolumes", "get services", "get persistentvolumes", "get services", "tofu -chdir=DIR/gke destroy\n",
	} {
		i := strings.Index(calls[at:], want)
		if i < 0 {
			t.Fatalf("no %q after\n%s\nin\n%s", want, calls[:at], calls)
		}
		at += i
	}
	if strings.Contains(calls, "auto-approve") {
		t.Error("down does not ask")
	}
}

// Nothing is deleted if destroy would fail.
func TestDownProtected(t *testing.T) {
	c, state, _ := lab(t, "gke", strings.Replace(gke, `"database"`, `"deletion_protection":{"value":true},"database"`, 1), all...)
	if err := c.Down(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "deletion_protection is true, nothing was deleted: set it to false in DIR/gke/terraform.tfvars") {
		t.Error(err)
	}
	if got, want := read(t, state, "calls"), "tofu -chdir=DIR/gke init -input=false\ntofu -chdir=DIR/gke output -json\n"; got != want {
		t.Errorf("calls:\n%s\nwant:\n%s", got, want)
	}
}

// Without a cluster, only the root module is destroyed.
func TestDownWithoutCluster(t *testing.T) {
	c, state, stderr := lab(t, "eks", "{}", all...)
	c.Approve = true
	if err := c.Down(t.Context()); err != nil {
		t.Fatal(err, stderr)
	}
	want := "tofu -chdir=DIR/eks init -input=false\ntofu -chdir=DIR/eks output -json\ntofu -chdir=DIR/eks destroy -auto-approve\n"
	if got := read(t, state, "calls"); got != want {
		t.Errorf("calls:\n%s\nwant:\n%s", got, want)
	}
}

func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		name, cloud, outputs, file string
		programs                   []string
		want                       string
		last                       string // call
	}{
		{"no tool", "gke", gke, "", []string{"gcloud", "kubectl"}, "neither tofu nor terraform is in PATH", ""},
		{"no gcloud", "gke", gke, "", []string{"tofu", "kubectl"}, "gcloud is not in PATH: docs/gke.md lists what is needed", ""},
		{"no plugin", "gke", gke, "", []string{"tofu", "gcloud", "kubectl"}, "gke-gcloud-auth-plugin is not in PATH", ""},
		{"no aws", "eks", eks, "", []string{"terraform", "kubectl"}, "aws is not in PATH: docs/eks.md", ""},
		{"the answer is no", "gke", gke, "no", all, "tofu apply in DIR/gke: exit status 1", "tofu -chdir=DIR/gke apply"},
		{"no outputs", "gke", "{}", "", all, "nothing was created", "tofu -chdir=DIR/gke output -json"},
		{"outputs are no JSON", "gke", "Error", "", all, "tofu output: invalid character", "tofu -chdir=DIR/gke output -json"},
		{"incomplete outputs", "gke", `{"context":{"value":"c"}}`, "", all, "outputs of DIR/gke are incomplete", "tofu -chdir=DIR/gke output -json"},
		{"no permission in the cluster", "eks", eks, "forbidden", all, "Error from server (Forbidden)", "kubectl --context eks-soundcheck apply --server-side --force-conflicts --field-manager=soundcheck -f -"},
		{"no password in the secret", "eks", eks, "secret", all, "the output has no password", "aws secretsmanager get-secret-value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, state, _ := lab(t, tt.cloud, tt.outputs, tt.programs...)
			if tt.file != "" {
				write(t, state, tt.file, "{}")
			}
			err := c.Up(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			calls := strings.Split(strings.TrimSpace(read(t, state, "calls")), "\n")
			if last := calls[len(calls)-1]; last != tt.last {
				t.Errorf("last call %q, want %q", last, tt.last)
			}
		})
	}
}

// Terraform is used where OpenTofu is not installed.
func TestTerraform(t *testing.T) {
	c, state, stderr := lab(t, "eks", "{}", "terraform", "aws", "kubectl")
	if err := c.Down(t.Context()); err != nil {
		t.Fatal(err, stderr)
	}
	if calls := read(t, state, "calls"); !strings.HasPrefix(calls, "terraform -chdir=DIR/eks init") {
		t.Errorf("calls:\n%s", calls)
	}
}
