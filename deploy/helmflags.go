package main

import (
	"slices"
	"strings"
)

// valueFlags are the flags of helm upgrade with values, which helm template has, too.
var valueFlags = []string{"--values", "--set", "--set-string", "--set-json", "--set-file", "--set-literal"}

// instead says what to use for flags of helm that would contradict this program: its checks, wait and
// report use the namespace and cluster of its own flags, and it sets some of helm's flags itself.
var instead = map[string]string{
	"--namespace":        "use -namespace NAME before --",
	"-n":                 "use -namespace NAME before --",
	"--kube-context":     "use -context NAME before --",
	"--kubeconfig":       "set KUBECONFIG=FILE in the environment",
	"--timeout":          "use -timeout DURATION before --",
	"--wait":             "leave it out, deploy always waits; -timeout DURATION before -- limits the wait",
	"--install":          alreadySet,
	"-i":                 alreadySet,
	"--create-namespace": alreadySet,
	"--dry-run":          "use helm template, or helm upgrade --dry-run: deploy up installs",
}

const alreadySet = "leave it out, deploy always sets it"

// checkHelmFlag rejects a flag of helm for which this program has its own.
func checkHelmFlag(f *flags, arg string) error {
	name, _, _ := strings.Cut(arg, "=")
	if len(name) > 2 && name[0] == '-' && name[1] != '-' { // -nNAME; of -in NAME, -i is rejected
		name = name[:2]
	}
	use, ok := instead[name]
	if !ok && strings.HasPrefix(name, "--kube-") {
		use, ok = "set it in the kubeconfig, and use -context NAME before --", true
	}
	if !ok {
		return nil
	}
	return f.Errorf("%s after --: %s", name, use)
}

// valuesOf returns those of helm's flags that give values: the rendering, which the checks and the
// choice of images read, needs them as the upgrade does.
func valuesOf(f *flags, args []string) (values []string, err error) {
	for n := 0; n < len(args); n++ {
		if err := checkHelmFlag(f, args[n]); err != nil {
			return nil, err
		}
		name, _, joined := strings.Cut(args[n], "=")
		switch {
		case name == "--reuse-values", name == "--reset-then-reuse-values":
			return nil, f.Errorf("%s: the checks and the choice of images cannot see values of the last revision: repeat them with -values FILE or -set NAME=VALUE (helm get values %s shows them)", name, f.r.Name)
		case slices.Contains(valueFlags, name), name == "-f":
			values = append(values, args[n])
			if joined {
				continue
			}
			if n++; n == len(args) {
				return nil, f.Errorf("%s after -- needs an argument", name)
			}
			values = append(values, args[n])
		case strings.HasPrefix(name, "-f"): // -fFILE
			values = append(values, args[n])
		}
	}
	return values, nil
}
