package main

import (
	"slices"
	"strings"
)

// valueFlags are the flags of helm upgrade with values, which helm template has, too.
var valueFlags = []string{"--values", "--set", "--set-string", "--set-json", "--set-file", "--set-literal"}

// valuesOf returns those of helm's flags that give values: the rendering, which the checks and the
// choice of images read, needs them as the upgrade does.
func valuesOf(f *flags, args []string) (values []string, err error) {
	for n := 0; n < len(args); n++ {
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
