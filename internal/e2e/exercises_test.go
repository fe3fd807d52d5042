package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"soundcheck/lab/exercises"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

// exercise runs a command of lab exercise.
func (l *lab) exercise(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return l.run(t, 5*time.Minute, "lab", append([]string{"exercise", args[0], "-state", l.State}, args[1:]...)...)
}

// refused fails unless a command of lab exercise ends with a code and a message.
func (l *lab) refused(t *testing.T, code int, message string, args ...string) {
	t.Helper()
	stdout, stderr, got := l.exercise(t, args...)
	if got != code || !strings.Contains(stdout+stderr, message) {
		t.Errorf("exercise %s: exit code %d, want %d and %q\n%s%s", strings.Join(args, " "), got, code, message, stdout, stderr)
	}
}

// words splits the last line of a solution as a shell does that knows only single quotes.
func words(line string) (list []string) {
	for len(line) > 0 {
		var word strings.Builder
		for line = strings.TrimLeft(line, " "); len(line) > 0 && line[0] != ' '; {
			end := strings.IndexAny(line, " '")
			if end < 0 {
				end = len(line)
			}
			if line[0] == '\'' {
				text, rest, _ := strings.Cut(line[1:], "'")
				word.WriteString(text)
				line = rest
				continue
			}
			word.WriteString(line[:end])
			line = line[end:]
		}
		list = append(list, word.String())
	}
	return list
}

// wrong returns a wrong answer of the right form.
func wrong(q exercises.Question, right, oldTrace string) string {
	switch {
	case q.Choice != nil:
		for _, name := range q.Choice.Of {
			if name != q.Choice.Is {
				return name
			}
		}
	case q.Value != nil:
		return "7" + right // 308ms: 7308ms
	case q.Trace != nil:
		return oldTrace
	case q.Query != nil:
		return "2 * (" + right + ")"
	}
	return right + "0"
}

// Each exercise is solved by its own solution, and wrong answers are wrong. Afterwards the lab is as
// before.
func TestExercises(t *testing.T) {
	l := newLab(t)
	l.up(t)
	all, err := exercises.All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 12 {
		t.Errorf("%d exercises", len(all))
	}
	for _, args := range [][]string{{"show"}, {"hint"}, {"solution"}, {"stop"}, {"answer", "a=b"}} {
		l.refused(t, 1, "no exercise is active", args...)
	}
	l.refused(t, 1, `no exercise "none"`, "start", "none")
	l.setFaults(t, l.ProxyAdmin(), "latency=1ms")
	l.refused(t, 1, "proxy-service has the fault latency=1ms, which the exercise would end", "start", all[0].Name)
	l.setFaults(t, l.ProxyAdmin())
	// A load that cannot run is reported as such, and at once.
	broken := plan.Exercise{Name: "broken", Loads: []plan.Load{{To: plan.ProxyName, Args: []string{"-rate", "fast"}}}}
	if err := supervisor.NewClient(l.State).BeginExercise(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "start exercise-load: it exited before it was ready (exit status 2)") ||
		!strings.Contains(err.Error(), `"fast"`) {
		t.Errorf("a load with wrong flags: %v", err)
	}
	l.refused(t, 1, "no exercise is active", "show")
	l.stopDuringStart(t, all[0].Name)
	resp, err := http.Post(l.Store()+"/albums", "application/json", strings.NewReader(anAlbum))
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	album := l.Store() + resp.Header.Get("Location")
	oldTrace := strings.Repeat("1", 32)
	for _, x := range all {
		t.Run(x.Name, func(t *testing.T) {
			begun := time.Now()
			if stdout, stderr, code := l.exercise(t, "start", x.Name); code != 0 || !strings.Contains(stdout, "\nnow: ") {
				t.Fatalf("start: exit code %d\n%s%s", code, stdout, stderr)
			}
			defer func() {
				if stdout, stderr, code := l.exercise(t, "stop"); code != 0 {
					t.Errorf("stop: exit code %d\n%s%s", code, stdout, stderr)
				}
				t.Logf("%s with stop", time.Since(begun).Round(time.Second/10))
			}()
			l.refused(t, 1, "the exercise "+x.Name+" is active", "start", all[0].Name)
			l.hidden(t)
			if x == all[0] {
				if stdout, stderr, code := l.run(t, time.Minute, "lab", "verify", "-state", l.State); code != 1 || !strings.Contains(stderr, "the exercise "+x.Name+" is active") {
					t.Errorf("lab verify: exit code %d\n%s%s", code, stdout, stderr)
				}
			}
			solution, stderr, code := l.exercise(t, "solution")
			lines := strings.Split(strings.TrimSpace(solution), "\n")
			command, ok := strings.CutPrefix(lines[len(lines)-1], "go run ./lab exercise answer -state "+l.State+" ")
			if code != 0 || !ok {
				t.Fatalf("solution: exit code %d\n%s%s", code, solution, stderr)
			}
			l.shell(t, x)
			right, bad := words(command), []string{}
			for _, word := range right {
				key, value, _ := strings.Cut(word, "=")
				for _, q := range x.Ask {
					if q.Key != key {
						continue
					}
					bad = append(bad, key+"="+wrong(q, value, oldTrace))
					if q.Trace != nil {
						var trace json.RawMessage
						getJSON(t, l.Jaeger()+"/api/traces/"+value, &trace)
						if bytes.Contains(trace, []byte("soundcheck.fault")) {
							t.Errorf("the trace %s shows the fault", value)
						}
						oldTrace = value
					}
				}
			}
			if len(bad) != len(x.Ask) {
				t.Fatalf("the solution gives %q", right)
			}
			if stdout, stderr, code := l.exercise(t, append([]string{"answer"}, right...)...); code != 0 || !strings.Contains(stdout, x.Name+" is solved") {
				t.Errorf("answer %q: exit code %d\n%s%s\n%s", right, code, stdout, stderr, solution)
			}
			l.refused(t, 1, fmt.Sprintf("0 of %d right", len(x.Ask)), append([]string{"answer"}, bad...)...)
			l.refused(t, 1, "missing", append([]string{"answer"}, right[1:]...)...)
			l.refused(t, 2, "does not ask \"x\"", "answer", "x=1")
			l.refused(t, 0, "hint 1 of", "hint")
		})
		if t.Failed() {
			return
		}
	}
	if err := l.allReady(t); err != nil {
		t.Error(err)
	}
	if resp, err := http.Get(album); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the lab's own album: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	l.setFaults(t, l.StoreAdmin(), "db-delay=1ms")
	l.setFaults(t, l.StoreAdmin())
	progress, err := exercises.ReadProgress(l.State)
	if err != nil || len(progress) != len(all) {
		t.Errorf("progress of %d exercises, %v", len(progress), err)
	}
	for name, p := range progress {
		if p.SolvedAt.IsZero() || p.Answers < 2 || p.Hints != 1 || !p.Solution {
			t.Errorf("progress of %s: %+v", name, *p)
		}
	}
	l.killDuring(t, all[0].Name)
}

// stopDuringStart ends an exercise whose start waits for the symptom: the start ends, too.
func (l *lab) stopDuringStart(t *testing.T, name string) {
	t.Helper()
	done := make(chan string, 1)
	go func() {
		_, stderr, code := l.exercise(t, "start", name)
		done <- fmt.Sprint(code, " ", stderr)
	}()
	eventually(t, "the exercise is active", func() error {
		if st := l.status(t); st.ExerciseAt.IsZero() {
			return fmt.Errorf("exercise %q", st.Exercise)
		}
		return nil
	})
	l.refused(t, 0, name+" ended", "stop")
	if got := <-done; !strings.HasPrefix(got, "1 ") || !strings.Contains(got, "was stopped before its symptom showed") { // exercise() times out after 5 min
		t.Errorf("start: %s", got)
	}
}

// shell runs the commands of a solution, which are those of a shell in the repository. loadgen's exit code
// 3 is a result, slower; 4 and 5 are those of a busy machine.
func (l *lab) shell(t *testing.T, x *exercises.Exercise) {
	t.Helper()
	for _, step := range x.Solution {
		if step.Shell == "" {
			continue
		}
		line := strings.ReplaceAll(exercises.Lab{Lab: l.Lab}.Expand(step.Shell), "go run ./loadgen", filepath.Join(l.bin, "loadgen"))
		cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
		cmd.Dir = l.Root
		out, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 0 && (code < 3 || code > 5) || len(out) == 0 {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}

// hidden fails if an admin page shows a fault, or lets it be turned off.
func (l *lab) hidden(t *testing.T) {
	t.Helper()
	for _, admin := range []string{l.StoreAdmin(), l.ProxyAdmin()} {
		var answer struct {
			Faults []string
			Hidden bool
		}
		getJSON(t, admin, &answer)
		if len(answer.Faults) != 0 || !answer.Hidden {
			t.Errorf("%s: %+v", admin, answer)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, admin, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != http.StatusConflict {
			t.Errorf("DELETE %s: %v, %v", admin, resp, err)
			continue
		}
		resp.Body.Close()
	}
}

// killDuring kills the supervisor during an exercise: stop ends what is left, and the next lab has no
// exercise.
func (l *lab) killDuring(t *testing.T, name string) {
	t.Helper()
	if stdout, stderr, code := l.exercise(t, "start", name); code != 0 {
		t.Fatalf("start: exit code %d\n%s%s", code, stdout, stderr)
	}
	pid := l.status(t).Supervisor.PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the supervisor is gone", func() error {
		if running, err := supervisor.Running(l.State); err != nil || running {
			return fmt.Errorf("running: %t, %v", running, err)
		}
		return nil
	})
	l.refused(t, 1, "the lab's supervisor was killed during "+name, "answer", "x=1")
	l.refused(t, 0, name+" ended and the lab is down", "stop")
	l.refused(t, 1, "no exercise is active", "stop")
	if err := supervisor.CheckPorts(l.Components()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(l.State, "data", "exercise")); err == nil {
		t.Error("the data of the exercise are still there")
	}
	l.mustRun(t, 10*time.Minute, "lab", "up", "-state", l.State, "-port-offset", fmt.Sprint(l.Offset))
	b, err := json.Marshal(l.status(t))
	if err != nil || bytes.Contains(b, []byte(`"exercise`)) {
		t.Errorf("%s, %v", b, err)
	}
}
