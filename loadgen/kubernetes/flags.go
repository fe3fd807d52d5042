package kubernetes

import (
	"strings"

	"soundcheck/internal/cli"
	"soundcheck/lab/kube"
)

// Flags say where the pods of a run are.
type Flags struct {
	kube.Options
	Image string     // of loadgen
	Files cli.Values // values files
	Sets  cli.Values // NAME=VALUE of the chart
}

// Define defines the flags.
func (k *Flags) Define(f *cli.Flags) {
	f.StringVar(&k.Context, "context", "", "kubectl `context` (default: the current one)")
	f.StringVar(&k.Options.Namespace, "namespace", "", "`namespace` of the pods (default: that of the lab, else of the context)")
	f.StringVar(&k.Image, "image", "", "loadgen's `image` (default: that of the lab in the cluster)")
	f.Var(&k.Files, "values", "values `file` of the chart soundcheck-load, repeatable")
	f.Var(&k.Sets, "set", "`NAME=VALUE` of the chart, repeatable")
}

// Check rejects values of the chart that flags set.
func (k *Flags) Check(f *cli.Flags) error {
	for _, set := range k.Sets.List {
		name, _, _ := strings.Cut(set, "=")
		name, _, _ = strings.Cut(name, "[")
		for value, by := range map[string]string{"workers": "-workers", "image": "-image", "args": "the flags of the run", "capacity": "the command", "token": "loadgen k8s", "activeDeadlineSeconds": "-duration, -stages and -wait"} {
			if name == value || strings.HasPrefix(name, value+".") && value == "image" && name != "image.pullPolicy" {
				return f.Errorf("-set %s: %s sets it", set, by)
			}
		}
	}
	return nil
}
