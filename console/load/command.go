package load

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"soundcheck/internal/cli"
	"soundcheck/lab/plan"
	"soundcheck/lab/supervisor"
)

// flag is a flag of loadgen that a page can set.
type flag struct {
	name    string
	repeats bool
	boolean bool
	file    string // in the folder load of the state: the value is its text; "": the value is that of the flag
}

// flags are those of the form, in the order of the command line. A page gives the text of a file, never its name.
var flags = []flag{{name: "name"}, {name: "url"}, {name: "rate"}, {name: "workers"}, {name: "stages"}, {name: "duration"}, {name: "arrivals"},
	{name: "warmup"}, {name: "mix"},
	{name: "flow", file: "flow.yaml"}, {name: "users"}, {name: "targets", file: "targets.txt"}, {name: "openapi", file: "openapi.yaml"},
	{name: "slo", repeats: true}, {name: "abort-on-slo", boolean: true}, {name: "profile"}}

// maxValue is the max length of a value, in bytes.
const maxValue = 2000

// Values are values of loadgen's flags. An empty one is as good as none.
type Values map[string][]string

// first returns the first value of a flag that is not empty, or "".
func (v Values) first(name string) string {
	for _, value := range v[name] {
		if value != "" {
			return value
		}
	}
	return ""
}

// BadValue is an error of one flag.
type BadValue struct{ Flag, Text string }

func (e *BadValue) Error() string { return e.Text }

// arguments returns the arguments for values. The folder has the files.
func arguments(values Values, folder string) (args []string, err error) {
	for name := range values {
		if !slices.ContainsFunc(flags, func(f flag) bool { return f.name == name }) {
			return nil, &BadValue{name, fmt.Sprintf("-%s is not a flag of this page: run the command in a terminal", name)}
		}
	}
	for _, f := range flags {
		list := slices.DeleteFunc(slices.Clone(values[f.name]), func(v string) bool { return v == "" })
		if len(list) > 1 && !f.repeats {
			return nil, &BadValue{f.name, fmt.Sprintf("-%s has %d values, at most one is possible", f.name, len(list))}
		}
		for _, v := range list {
			switch {
			case f.file != "" && len(v) <= maxText:
				args = append(args, "-"+f.name, filepath.Join(folder, f.file))
			case f.file != "":
				return nil, &BadValue{f.name, fmt.Sprintf("-%s: the text is longer than %d KiB", f.name, maxText>>10)}
			case len(v) > maxValue || strings.ContainsRune(v, 0):
				return nil, &BadValue{f.name, fmt.Sprintf("-%s is longer than %d bytes or has a NUL", f.name, maxValue)}
			case f.boolean && v != "true" && v != "false":
				return nil, &BadValue{f.name, fmt.Sprintf("-%s %q is not true or false", f.name, v)}
			case f.boolean && v == "true":
				args = append(args, "-"+f.name)
			case !f.boolean:
				args = append(args, "-"+f.name, v)
			}
		}
	}
	return args, nil
}

// command is a command in the repository's folder.
type command struct {
	env  []string // variables for this lab
	args []string
}

// commandFor returns the command for values on a lab, with the addresses of its ports.
func commandFor(st supervisor.Status, values Values) (c command, err error) {
	if c.args, err = arguments(values, filepath.Join(st.State, "load")); err != nil {
		return c, err
	}
	lab := plan.Lab{Offset: st.PortOffset, State: st.State}
	if st.PortOffset != 0 {
		if values.first("url") == "" && values.first("targets") == "" {
			c.args = append(c.args, "-url", lab.Proxy())
		}
		c.args = append(c.args, "-jaeger", lab.Jaeger())
		c.env = append(c.env, "OTEL_EXPORTER_OTLP_ENDPOINT="+lab.OTLP())
	}
	if st.State != filepath.Join(st.Root, ".lab") { // the default of -keep
		c.args = append(c.args, "-keep", filepath.Join(st.State, "runs"))
	}
	return c, nil
}

// String returns the command for a shell.
func (c command) String() string {
	words := append(slices.Clone(c.env), "go", "run", "./loadgen")
	for _, a := range c.args {
		words = append(words, cli.Quote(a))
	}
	return strings.Join(words, " ")
}
