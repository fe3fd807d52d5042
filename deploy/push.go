package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"soundcheck/compose/images"
	"soundcheck/deploy/cluster"
	"soundcheck/deploy/oci"
	"soundcheck/lab/build"
	"soundcheck/lab/proc"
)

// Sources of images.
const (
	fromRegistry = "registry" // ours are built and pushed, the others are official
	fromHere     = "local"    // all are built here
	fromNowhere  = "none"     // ours are in the registry already
)

// services are the names that compose/images gives the images, by the names they have.
var services = map[string]string{
	"album-store": "album-store", "proxy-service": "proxy-service", "console": "console", "loadgen": "loadgen", "labtool": "prepare",
	"otel-collector": "otel-collector", "jaeger": "jaeger", "prometheus": "prometheus", "postgres": "postgres",
}

// ours are images that nobody publishes.
var ours = []string{"album-store", "proxy-service", "console", "loadgen", "labtool"}

// imageFlags say where images come from.
type imageFlags struct {
	source, registry, pull, load, platform string
	plainHTTP                              bool
	tag                                    string
	user, password                         string // of the registry; "": those of docker login
}

func (c *command) addImageFlags(f *flags, i *imageFlags) {
	source := c.getenv("IMAGES")
	if source == "" {
		source = fromRegistry
	}
	f.StringVar(&i.source, "images", source, "image `source`: registry (build ours and push them), local (build all of them) or none (ours are in the registry); or set IMAGES")
	f.StringVar(&i.registry, "registry", "", "`host:port` of the registry (default: the one that the cluster advertises, as k3d and MicroK8s do)")
	f.StringVar(&i.pull, "pull-registry", "", "`host:port` of that registry for the cluster's nodes, if they know it by another name")
	f.BoolVar(&i.plainHTTP, "plain-http", false, "the registry has no TLS; always for localhost")
	f.StringVar(&i.load, "load", "", "shell `command` that loads an image archive {} into the nodes, with -images local: 'k3d image import {}'")
	f.StringVar(&i.platform, "platform", "", "`platforms` of our images, such as linux/amd64,linux/arm64 (default: those of the nodes)")
	f.StringVar(&i.tag, "tag", "", "with -images none: `tag` of our images (default: appVersion of the chart)")
}

// check rejects flags that exclude each other.
func (i *imageFlags) check(f *flags) error {
	switch {
	case i.source != fromRegistry && i.source != fromHere && i.source != fromNowhere:
		return f.Errorf("-images %q is not registry, local or none", i.source)
	case i.load != "" && i.source != fromHere:
		return f.Errorf("-load needs -images local")
	case i.load != "" && i.registry != "":
		return f.Errorf("-load excludes -registry: the images are either loaded or pushed")
	case i.load != "" && !strings.Contains(i.load, "{}"):
		return f.Errorf("-load %q has no {}, the path of the archive: for example k3d image import {}", i.load)
	case i.pull != "" && i.registry == "":
		return f.Errorf("-pull-registry needs -registry")
	case i.tag != "" && i.source != fromNowhere:
		return f.Errorf("-tag needs -images none: built images have a tag of their content")
	}
	if i.platform != "" {
		if _, err := oci.ParsePlatforms(i.platform); err != nil {
			return f.Errorf("-platform: %v", err)
		}
	}
	return nil
}

// find completes the flags from what the cluster says.
func (i *imageFlags) find(ctx context.Context, f *flags) error {
	if i.registry == "" && i.load == "" {
		i.registry, i.pull = f.r.LocalRegistry(ctx)
	}
	switch {
	case i.load != "":
		i.pull = cluster.LoadedRegistry
	case i.registry == "" && i.source == fromHere:
		return f.Errorf("-images local needs -load COMMAND, which loads archives into the nodes, or -registry HOST:PORT (the cluster of context %s advertises none)", f.r.Context)
	case i.registry == "":
		return f.Errorf("-registry HOST:PORT is needed: our images are published nowhere, and the cluster of context %s advertises no registry. Or load them: -images local -load 'COMMAND {}'", f.r.Context)
	case i.pull == "":
		i.pull = i.registry
	}
	if i.platform == "" {
		platforms := f.r.Platforms(ctx)
		if len(platforms) == 0 {
			platforms = []string{"linux/" + runtime.GOARCH}
		}
		i.platform = strings.Join(platforms, ",")
	}
	platforms, err := oci.ParsePlatforms(i.platform)
	if err != nil {
		return f.Errorf("%v: set -platform to some that the cluster's nodes have", err)
	}
	if i.load != "" && len(platforms) > 1 {
		return f.Errorf("-load needs one platform, the nodes have %s: set -platform, or use -registry", i.platform)
	}
	return nil
}

// values are the chart's values for images. Tags are those of built images; without, images have
// a tag that says so, for a first rendering.
func (i *imageFlags) values(tags map[string]string) map[string]any {
	type m = map[string]any
	values := m{"images": m{"registry": i.pull}}
	if i.source == fromNowhere {
		if i.tag != "" {
			values["images"] = m{"registry": i.pull, "tag": i.tag}
		}
		return values
	}
	tag := func(name string) string {
		if tags == nil {
			return "to-be-built"
		}
		return tags[name]
	}
	image := func(name string) m {
		return m{"repository": i.pull + "/soundcheck/" + name, "tag": tag(name), "digest": ""}
	}
	for name, key := range map[string]string{"album-store": "store", "proxy-service": "proxy", "console": "console", "loadgen": "loadgen", "labtool": "tools"} {
		values[key] = m{"image": m{"tag": tag(name)}}
	}
	if i.source == fromHere {
		values["collector"] = m{"image": image("otel-collector"), "contrib": false}
		values["jaeger"] = m{"image": image("jaeger")}
		values["prometheus"] = m{"image": image("prometheus")}
		values["database"] = m{"postgres": m{"image": image("postgres")}}
		values["console"].(m)["tracesPage"] = true // our Jaeger has no page
		values["grafana"], values["loki"] = m{"enabled": false}, m{"enabled": false}
	}
	return values
}

// write writes values where helm can read them.
func (i *imageFlags) write(f *flags, tags map[string]string) (file string, err error) {
	if err := os.MkdirAll(f.state, 0o755); err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(i.values(tags), "", "  ")
	if err != nil {
		return "", err
	}
	file = filepath.Join(f.state, f.r.Namespace+"-"+f.r.Name+"-images.json")
	return file, os.WriteFile(file, append(text, '\n'), 0o644)
}

// needed returns which images of ours the rendered release has, by name.
func (i *imageFlags) needed(rendered *cluster.Rendered) []string {
	var names []string
	for _, ref := range rendered.Images() {
		path, _, ok := ourImage(ref, i.pull)
		name := strings.TrimPrefix(path, "soundcheck/")
		if _, known := services[name]; ok && known && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// ourImage splits the reference of an image of ours, such as HOST:PORT/soundcheck/console:TAG.
func ourImage(ref, registry string) (name, tag string, ok bool) {
	rest, ok := strings.CutPrefix(ref, registry+"/")
	name, tag, tagged := strings.Cut(rest, ":")
	return name, tag, ok && tagged && strings.HasPrefix(name, "soundcheck/") && !strings.Contains(tag, "@")
}

// build builds images and pushes or loads them. It returns their tags.
func (c *command) build(ctx context.Context, f *flags, i *imageFlags, names []string) (map[string]string, error) {
	platforms, err := oci.ParsePlatforms(i.platform)
	if err != nil {
		return nil, err
	}
	built := map[string][]*oci.Image{}
	for _, platform := range platforms {
		dir := filepath.Join(f.root, ".lab", "compose", "images") // which Compose uses, too
		if platform != runtime.GOOS+"/"+runtime.GOARCH {
			dir = filepath.Join(f.state, strings.ReplaceAll(platform, "/", "_"))
		}
		logs := f.state
		if err := os.MkdirAll(logs, 0o755); err != nil {
			return nil, err
		}
		b := &images.Builder{
			Binaries: &build.Builder{Root: f.root, Bin: filepath.Join(f.root, ".lab", "bin"), Logs: logs, Platform: platform},
			Dir:      dir, Progress: f.r.Progress,
			Alternatives: "use the official one (-images registry), an external one, or database.kind sqlite or memory",
		}
		list := make([]string, len(names))
		for n, name := range names {
			list[n] = services[name]
		}
		specs, err := b.Specs(ctx, list)
		if err != nil {
			return nil, err
		}
		for _, s := range specs {
			img, err := oci.Pack(s, platform, i.load == "")
			if err != nil {
				return nil, err
			}
			built[s.Name] = append(built[s.Name], img)
		}
	}
	tags := map[string]string{}
	for _, name := range names {
		deliver := i.pushOne
		if i.load != "" {
			deliver = i.loadOne
		}
		if tags[name], err = deliver(ctx, f, built[name]); err != nil {
			return nil, err
		}
	}
	return tags, ctx.Err()
}

func (i *imageFlags) pushOne(ctx context.Context, f *flags, platforms []*oci.Image) (string, error) {
	f.r.Progress.Show("pushing " + platforms[0].Name)
	defer f.r.Progress.Clear()
	tag, pushed, err := oci.Registry{Host: i.registry, PlainHTTP: i.plainHTTP, User: i.user, Password: i.password}.Push(ctx, platforms)
	if err == nil && pushed {
		f.r.Progress.Line(fmt.Sprintf("pushed %s/soundcheck/%s:%s, %.1f MB", i.registry, platforms[0].Name, tag, float64(platforms[0].Size())/1e6))
	}
	return tag, err
}

func (i *imageFlags) loadOne(ctx context.Context, f *flags, platforms []*oci.Image) (string, error) {
	img := platforms[0]
	ref := cluster.LoadedRegistry + "/soundcheck/" + img.Name + ":" + img.Tag()
	file := filepath.Join(f.state, "images", img.Name+".tar")
	if _, err := img.WriteArchive(file, ref); err != nil {
		return "", err
	}
	if f.r.OnNodes(ctx, ref) {
		return img.Tag(), nil
	}
	line := strings.ReplaceAll(i.load, "{}", "'"+strings.ReplaceAll(file, "'", `'\''`)+"'")
	f.r.Progress.Line(fmt.Sprintf("loading %s, %.1f MB: %s", ref, float64(img.Size())/1e6, line))
	out, err := loadCommand(ctx, line).CombinedOutput()
	if err != nil && ctx.Err() == nil {
		return "", fmt.Errorf("-load %q failed for %s: %w\n%s", i.load, img.Name, err, strings.TrimSpace(string(out)))
	}
	return img.Tag(), ctx.Err()
}

// loadCommand is the shell command of -load. An interrupt ends all its processes: those that the shell
// starts have its output, for which Wait waits.
func loadCommand(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.SysProcAttr = proc.Group()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second // then SIGKILL of the shell
	return cmd
}

// push builds and pushes the images of the default values.
func (c *command) push(ctx context.Context) error {
	f := c.newFlags("deploy push [flags]", "Build our images, push them to a registry or load them into the nodes.")
	var i imageFlags
	c.addImageFlags(f, &i)
	if _, err := c.parse(f, false); err != nil {
		return err
	}
	if err := i.check(f); err != nil {
		return err
	}
	if i.source == fromNowhere {
		return f.Errorf("-images none has nothing to push: registry or local")
	}
	if i.registry == "" || i.load != "" || i.platform == "" { // else no cluster is needed
		if err := f.r.Connect(ctx); err != nil {
			return err
		}
	}
	if err := i.find(ctx, f); err != nil {
		return err
	}
	names := ours
	if i.source == fromHere {
		names = append(slices.Clone(ours), "otel-collector", "jaeger", "prometheus", "postgres")
	}
	tags, err := c.build(ctx, f, &i, names)
	if err != nil {
		return err
	}
	file, err := i.write(f, tags)
	if err != nil {
		return err
	}
	for _, name := range names {
		fmt.Fprintf(c.stdout, "%s/soundcheck/%s:%s\n", i.pull, name, tags[name])
	}
	_, err = fmt.Fprintf(c.stdout, "\nvalues for helm: --values %s\n", relative(file))
	return err
}

// relative returns a path as short as it can be shown.
func relative(file string) string {
	wd, err := os.Getwd()
	if err != nil {
		return file
	}
	if short, err := filepath.Rel(wd, file); err == nil && len(short) < len(file) {
		return short
	}
	return file
}
