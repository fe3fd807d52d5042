package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Rendered is what the chart makes of its values.
type Rendered struct{ objects []object }

// object is a resource. It has only what the checks look at.
type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name   string            `yaml:"name"`
		Labels map[string]string `yaml:"labels"`
	} `yaml:"metadata"`
	Data map[string]string `yaml:"data"` // of a ConfigMap
	Spec struct {
		GatewayClassName     string  `yaml:"gatewayClassName"`
		IngressClassName     string  `yaml:"ingressClassName"`
		StorageClassName     *string `yaml:"storageClassName"`
		VolumeClaimTemplates []struct {
			Spec struct {
				StorageClassName *string `yaml:"storageClassName"`
			} `yaml:"spec"`
		} `yaml:"volumeClaimTemplates"`
		Containers []image `yaml:"containers"` // of a pod
		Template   struct {
			Metadata struct {
				Labels map[string]string `yaml:"labels"`
			} `yaml:"metadata"`
			Spec struct {
				Containers     []image `yaml:"containers"`
				InitContainers []image `yaml:"initContainers"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

type image struct {
	Image string   `yaml:"image"`
	Args  []string `yaml:"args"`
}

func (o object) group() string {
	group, _, ok := strings.Cut(o.APIVersion, "/")
	if !ok {
		return "" // v1
	}
	return group
}

// Render renders the chart, as helm upgrade with these arguments would.
func (r *Release) Render(ctx context.Context, args []string) (*Rendered, error) {
	args = append([]string{"template", r.Name, r.Chart, "--kube-version", "v" + r.server.String() + ".0"}, args...)
	for kind := range r.kinds { // helm template knows the built-in ones only
		args = append(args, "--api-versions", kind, "--api-versions", path.Dir(kind))
	}
	out, err := r.helm(ctx, args...)
	if err != nil {
		return nil, chartError(err)
	}
	rendered, err := parse(out)
	if err == nil {
		r.components = rendered.components()
	}
	return rendered, err
}

func parse(text string) (*Rendered, error) {
	rendered := new(Rendered)
	for dec := yaml.NewDecoder(strings.NewReader(text)); ; {
		var o object
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return rendered, nil
		} else if err != nil {
			return nil, fmt.Errorf("the chart renders to invalid YAML: %w", err)
		}
		if o.Kind != "" {
			rendered.objects = append(rendered.objects, o)
		}
	}
}

// chartError keeps of helm's error what the chart's author wrote: the message of fail, or the
// lines of the schema.
func chartError(err error) error {
	text := stderr(err)
	if text == "" {
		return err
	}
	if _, message, ok := strings.Cut(text, "execution error at ("); ok {
		if _, message, ok = strings.Cut(message, "): "); ok {
			message, _, _ = strings.Cut(message, "\n")
			return errors.New("values: " + message)
		}
	}
	if strings.Contains(text, "values don't meet the specifications of the schema") {
		var problems []error
		for line := range strings.Lines(text) {
			if line, ok := strings.CutPrefix(strings.TrimSpace(line), "- "); ok {
				problems = append(problems, errors.New("values: "+line))
			}
		}
		if len(problems) > 0 {
			return errors.Join(problems...)
		}
	}
	return err
}

// Images returns the images of all containers and of load tests, each once.
func (r *Rendered) Images() []string {
	seen := map[string]bool{}
	for _, o := range r.objects {
		pod := o.Spec.Template.Spec
		for _, c := range slices.Concat(o.Spec.Containers, pod.Containers, pod.InitContainers) {
			seen[c.Image] = true
		}
		if o.Kind == "ConfigMap" && o.Metadata.Labels[componentLabel] == "load" {
			seen[o.Data["image"]] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// components returns the components of all pods.
func (r *Rendered) components() map[string]bool {
	set := map[string]bool{}
	for _, o := range r.objects {
		if name := o.Spec.Template.Metadata.Labels[componentLabel]; name != "" {
			set[name] = true
		}
	}
	return set
}

// inMemory reports whether the stores keep albums in memory. With a database they never migrate it themselves.
func (r *Rendered) inMemory() bool {
	for _, o := range r.objects {
		if pod := o.Spec.Template; pod.Metadata.Labels[componentLabel] == "album-store" && o.Kind == "Deployment" {
			return len(pod.Spec.Containers) > 0 && !slices.Contains(pod.Spec.Containers[0].Args, "-migrate=check")
		}
	}
	return false
}

// claims returns the storage class of each volume, "" for the default one, by the name of the
// resource that claims it.
func (r *Rendered) claims() map[string]string {
	claims := map[string]string{}
	class := func(name *string) string {
		if name == nil {
			return ""
		}
		return *name
	}
	for _, o := range r.objects {
		if o.Kind == "PersistentVolumeClaim" {
			claims[o.Metadata.Name] = class(o.Spec.StorageClassName)
		}
		for _, t := range o.Spec.VolumeClaimTemplates {
			claims[o.Metadata.Name] = class(t.Spec.StorageClassName)
		}
	}
	return claims
}

// kinds returns the resources' kinds, each once.
func (r *Rendered) kinds() []object {
	var kinds []object
	for _, o := range r.objects {
		if !slices.ContainsFunc(kinds, func(k object) bool { return k.APIVersion == o.APIVersion && k.Kind == o.Kind }) {
			kinds = append(kinds, o)
		}
	}
	return kinds
}
