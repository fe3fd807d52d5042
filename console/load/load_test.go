package load

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"soundcheck/lab/proc"
	"soundcheck/lab/supervisor"
)

func TestCommand(t *testing.T) {
	t.Parallel()
	usual := supervisor.Status{Root: "/repo", State: "/repo/.lab"}
	for _, tt := range []struct {
		st     supervisor.Status
		values Values
		want   string
	}{
		{usual, Values{}, "go run ./loadgen"},
		{usual, Values{"rate": {"100"}, "duration": {""}, "slo": {"p99<50ms", "good>99%"}, "abort-on-slo": {"true"}, "name": {"it's a test"}},
			`go run ./loadgen -name 'it'\''s a test' -rate 100 -slo 'p99<50ms' -slo 'good>99%' -abort-on-slo`},
		{usual, Values{"rate": {"-out"}, "abort-on-slo": {"false"}, "url": {"http://a:1"}}, "go run ./loadgen -url http://a:1 -rate -out"},
		{supervisor.Status{Root: "/repo", State: "/tmp/second lab", PortOffset: 100}, Values{"rate": {"5"}},
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4418 go run ./loadgen -rate 5 -url http://127.0.0.1:9170 -jaeger http://127.0.0.1:16796 -keep '/tmp/second lab/runs'"},
		{usual, Values{"flow": {"a text"}, "users": {"5"}}, "go run ./loadgen -flow /repo/.lab/load/flow.yaml -users 5"},
		{supervisor.Status{Root: "/repo", State: "/repo/.lab", PortOffset: 1}, Values{"targets": {"GET http://x"}},
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4319 go run ./loadgen -targets /repo/.lab/load/targets.txt -jaeger http://127.0.0.1:16697"},
		{supervisor.Status{Root: "/repo", State: "/repo/.lab", PortOffset: 1}, Values{"flow": {"a text"}},
			"SOUNDCHECK_LOADGEN_URL=http://127.0.0.1:9071 OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4319 go run ./loadgen -flow /repo/.lab/load/flow.yaml -jaeger http://127.0.0.1:16697"},
		{usual, Values{"openapi": {"a text"}}, "go run ./loadgen -openapi /repo/.lab/load/openapi.yaml -url http://127.0.0.1:9070"},
		{usual, Values{"openapi": {"a text"}, "url": {"http://x"}}, "go run ./loadgen -url http://x -openapi /repo/.lab/load/openapi.yaml"},
		{supervisor.Status{Root: "/repo", State: "/repo/.lab", PortOffset: 1}, Values{"url": {"http://x"}},
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4319 go run ./loadgen -url http://x -jaeger http://127.0.0.1:16697"},
	} {
		if c, err := commandFor(tt.st, tt.values); err != nil || c.String() != tt.want {
			t.Errorf("%v: %s, %v, want %s", tt.values, c, err, tt.want)
		}
	}
	for _, tt := range []struct {
		values     Values
		flag, want string
	}{
		{Values{"out": {"/etc"}}, "out", "-out is not a flag of this page"},
		{Values{"rate": {"1", "2"}}, "rate", "-rate has 2 values"},
		{Values{"abort-on-slo": {"maybe"}}, "abort-on-slo", `"maybe" is not true or false`},
		{Values{"mix": {strings.Repeat("x", 3000)}}, "mix", "longer than 2000 bytes"},
		{Values{"mix": {"a\x00b"}}, "mix", "NUL"},
		{Values{"flow": {strings.Repeat("x", maxText+1)}}, "flow", "longer than 1024 KiB"},
		{Values{"openapi": {"a", "b"}}, "openapi", "has 2 values"},
	} {
		_, err := commandFor(usual, tt.values)
		if bad, ok := errors.AsType[*BadValue](err); !ok || bad.Flag != tt.flag || !strings.Contains(bad.Text, tt.want) {
			t.Errorf("%v: %v, want -%s: %s", tt.values, err, tt.flag, tt.want)
		}
	}
}

// A page gives the texts of files. They are checked before the start, and do not name files of this machine.
func TestTexts(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret.json")
	if err := os.WriteFile(secret, []byte(`{"get": {}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	const contract = "openapi: 3.0.0\ninfo: {title: t, version: '1'}\npaths:\n  /a:\n    get: {responses: {'200': {description: ok}}}\n"
	for _, tt := range []struct{ name, text, want string }{
		{"flow", "steps:\n  - name: a\n    get: /albums\n", ""},
		{"flow", "steps:\n  - name: a\n    get: /albums\n    expectation: 5\n", "-flow: flow.yaml:4: "},
		{"flow", "data: " + secret + "\nsteps:\n  - name: a\n    get: /albums\n", "the flow must not name other files"},
		{"flow", "steps:\n  - name: a\n    post: /albums\n    body: \"@" + secret + "\"\n", "the flow must not name other files"},
		{"targets", "GET http://a/x\n", ""},
		{"targets", "GET http://a/x\nfoo\n", "-targets: targets.txt:2: "},
		{"targets", "POST http://a/x\n@" + secret + "\n", "-targets: targets.txt:2: @" + secret + ": the targets must not name other files"},
		{"openapi", contract, ""},
		{"openapi", contract + "  /b: {$ref: '" + secret + "'}\n", "the document has more than one file"},
		{"openapi", "openapi: [", "-openapi: openapi.yaml: "},
	} {
		err := checkTexts(Values{tt.name: {tt.text}})
		bad, ok := errors.AsType[*BadValue](err)
		if tt.want == "" && err != nil || tt.want != "" && (!ok || bad.Flag != tt.name || !strings.Contains(bad.Text, tt.want)) {
			t.Errorf("%s: %v, want %s", tt.text, err, tt.want)
		}
	}
	r := New(t.TempDir())
	if err := os.MkdirAll(r.file(""), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.writeTexts(Values{"flow": {"a text"}, "rate": {"5"}}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(r.file("flow.yaml")); err != nil || string(b) != "a text" {
		t.Errorf("the file: %s, %v", b, err)
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	for stderr, want := range map[string][2]string{
		"loadgen: invalid value \"x\" for flag -rate: \"x\" is not a rate\nrun \"loadgen -h\" for help\n": {`invalid value "x" for flag -rate: "x" is not a rate`, "rate"},
		"loadgen: -duration: \"x\" is not a duration such as 30s or 5m\nrun \"loadgen -h\" for help\n":    {`-duration: "x" is not a duration such as 30s or 5m`, "duration"},
		"loadgen: a notice of -targets\nloadgen: -mix: unknown scenario\n":                                {"-mix: unknown scenario", "mix"},
		"5 of 30 s: 7 requests\nloadgen: reach the target: refused\nstart the lab\n":                      {"reach the target: refused\nstart the lab", ""},
		"loadgen: -out: it exists\n": {"-out: it exists", ""},
		"":                           {"loadgen ended without a report and without a message: it was killed", ""},
		"5 of 30 s: 7 requests\n10 of 30 s: 14 requests\n":           {"loadgen ended without a report and without a message: it was killed", ""},
		"5 of 30 s\npanic: boom\n\ngoroutine 1 [running]:\nmain()\n": {"panic: boom", ""},
	} {
		if text, flag := message([]byte(stderr), ""); !reflect.DeepEqual([2]string{text, flag}, want) {
			t.Errorf("%q: %q, %q, want %q", stderr, text, flag, want)
		}
	}
	const notice = "loadgen: no further CPU profiles of shop: refused\n"
	if text, flag := message([]byte(notice), "killed"); text != "loadgen ended without a report, by the signal: killed" || flag != "" {
		t.Errorf("after a notice: %q, %q", text, flag)
	}
}

// stubborn starts a process that ignores SIGINT, as the run of an earlier console, and returns the Runner that takes it over.
func stubborn(t *testing.T) (*Runner, *exec.Cmd) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", `trap "" INT; echo ready; while :; do sleep 0.1; done`)
	cmd.SysProcAttr = proc.Group()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // the trap is set
		t.Fatal(err)
	}
	id, err := proc.Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	r := &Runner{state: dir, saved: saved{Process: id}}
	if err := os.MkdirAll(r.file(""), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.save(); err != nil {
		t.Fatal(err)
	}
	r = New(dir)
	t.Cleanup(func() {
		_ = id.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
		<-r.done
	})
	return r, cmd
}

// A run that ignores its interrupt is killed by a later Stop, not by the next one.
func TestStuck(t *testing.T) {
	t.Parallel()
	r, cmd := stubborn(t)
	for range 3 {
		if err := r.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if st := r.Status(); st.State != Stopping || st.Stuck || !r.saved.Process.Alive() {
		t.Errorf("after an interrupt: %+v", st)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Close(ctx); err == nil || !strings.Contains(err.Error(), "loadgen still runs") {
		t.Errorf("Close: %v", err)
	}
	next := New(r.state) // knows it, too
	if st := next.Status(); st.State != Stopping || st.Stuck {
		t.Errorf("the next console: %+v", st)
	}
	r.mu.Lock()
	r.saved.Stopped = time.Now().Add(-killAfter - time.Second)
	r.mu.Unlock()
	if st := r.Status(); !st.Stuck {
		t.Errorf("later: %+v", st)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	<-r.done
	if st := r.Status(); st.State != Ended || st.Stuck || st.Error == "" {
		t.Errorf("at the end: %+v", st)
	}
	<-next.done
}

// A run of a console that runs is not taken over: a second console does not stop it when it ends.
func TestSecondConsole(t *testing.T) {
	t.Parallel()
	r, other := stubborn(t)
	id, err := proc.Identify(other.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.saved.Console = id
	err = r.save()
	r.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	second := New(r.state)
	if st := second.Status(); st.State != Idle {
		t.Errorf("%+v", st)
	}
	if err := second.Close(t.Context()); err != nil || !id.Alive() {
		t.Errorf("Close: %v, the run is alive: %v", err, id.Alive())
	}
	second.mu.Lock()
	defer second.mu.Unlock()
	if !second.busy() {
		t.Error("a second run could start")
	}
}

// A state folder that is not writable any more does not keep a run from being stopped.
func TestStopWithoutFolder(t *testing.T) {
	t.Parallel()
	r, cmd := stubborn(t)
	if err := os.RemoveAll(r.file("")); err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stop: %v", err)
	}
	if st := r.Status(); st.State != Stopping || r.saved.Stopped.IsZero() {
		t.Errorf("%+v", st)
	}
	if err := r.saved.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	<-r.done
}
