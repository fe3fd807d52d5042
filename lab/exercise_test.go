package main

import (
	"bytes"
	"strings"
	"testing"

	"soundcheck/internal/cli"
)

func TestExerciseCommands(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "exercise: which command?"},
		{[]string{"begin"}, 2, `exercise: unknown command "begin"`},
		{[]string{"-h"}, 0, "usage: lab exercise COMMAND"},
		{[]string{"start", "-h"}, 0, "usage: lab exercise start [flags] name"},
		{[]string{"start"}, 2, "name one exercise"},
		{[]string{"start", "a", "b"}, 2, "name one exercise"},
		{[]string{"start", "none", "-state", state}, 1, `no exercise "none"`},
		{[]string{"start", "-port-offset", "-1", "slow-checkout"}, 2, "-port-offset -1 is out of range"},
		{[]string{"list", "x"}, 2, `unexpected argument "x"`},
		{[]string{"list", "-state", state}, 0, "slow-checkout"},
		{[]string{"show", "-state", state}, 1, "no exercise is active"},
		{[]string{"hint", "-state", state}, 1, "no exercise is active"},
		{[]string{"solution", "-state", state}, 1, "no exercise is active"},
		{[]string{"answer", "-state", state, "a=b"}, 1, "no exercise is active"},
		{[]string{"stop", "-state", state}, 1, "no exercise is active"},
		{[]string{"stop", "x"}, 2, `unexpected argument "x"`},
	} {
		var stdout, stderr bytes.Buffer
		err := run(t.Context(), append([]string{"exercise"}, tt.args...), func(string) string { return "" }, &stdout, &stderr)
		code := cli.Code("lab", &stderr, err)
		if got := stdout.String() + stderr.String(); code != tt.code || !strings.Contains(got, tt.want) {
			t.Errorf("lab exercise %s: exit code %d, want %d and %q\n%s", strings.Join(tt.args, " "), code, tt.code, tt.want, got)
		}
	}
}
