package images

import (
	"cmp"
	"context"
	"debug/buildinfo"
	"path/filepath"

	"soundcheck/lab/build"
)

// Spec describes an image, for a program that packs it without a container engine. It says what
// Dockerfile and postgres/Dockerfile say to Docker; a test compares them.
type Spec struct {
	Name       string // as in soundcheck/NAME
	Layers     []Layer
	User       string
	StopSignal string
	Entrypoint []string
	Env        []string
	Labels     map[string]string
}

// Layer is a tar archive, or one file.
type Layer struct {
	Tar        string // path of the archive; or:
	File, Path string // path of the file, and its path in the image
}

// sources and titles of images that are not of our own code.
var others = map[string]struct{ title, source string }{
	"otel-collector": {"OpenTelemetry Collector of the Soundcheck lab", "https://github.com/open-telemetry/opentelemetry-collector"},
	"jaeger":         {"Jaeger for the Soundcheck lab", "https://github.com/jaegertracing/jaeger"},
	"prometheus":     {"Prometheus for the Soundcheck lab", "https://github.com/prometheus/prometheus"},
}

// Specs builds what is in services' images, without a container engine, and describes the images.
func (b *Builder) Specs(ctx context.Context, services []string) ([]Spec, error) {
	var postgresVersion string
	err := b.prepare(ctx, services, func(ctx context.Context, dir string) (err error) {
		if _, err = b.postgresFiles(dir); err == nil {
			postgresVersion, err = b.postgresRoot(ctx, dir)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var specs []Spec
	for _, service := range services {
		if service == "postgres" {
			specs = append(specs, postgresSpec(filepath.Join(b.Dir, "postgres"), postgresVersion))
			continue
		}
		t, err := target(b.Binaries.Root, service)
		if err != nil {
			return nil, err
		}
		program := filepath.Join(b.Dir, t.Name, "program")
		s := programSpec(t.Name, program)
		// Those of the binary, not of the checkout: an unchanged binary has an unchanged image.
		s.Labels["org.opencontainers.image.version"] = cmp.Or(build.Version(program, ""), "devel")
		s.Labels["org.opencontainers.image.revision"] = cmp.Or(revision(program), "unknown")
		if o, ok := others[t.Name]; ok {
			s.Labels["org.opencontainers.image.title"], s.Labels["org.opencontainers.image.source"] = o.title, o.source
		}
		specs = append(specs, s)
	}
	return specs, nil
}

// revision returns the commit that a program was built from.
func revision(program string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

func programSpec(name, program string) Spec {
	return Spec{
		Name:       name,
		Layers:     []Layer{{File: program, Path: "program"}},
		User:       "65532:65532",
		Entrypoint: []string{"/program"},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "Soundcheck " + name,
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
}

func postgresSpec(dir, version string) Spec {
	const entrypoint = "usr/local/bin/docker-entrypoint.sh"
	return Spec{
		Name:       "postgres",
		Layers:     []Layer{{Tar: filepath.Join(dir, "root.tar")}, {File: filepath.Join(dir, "entrypoint.sh"), Path: entrypoint}},
		User:       "999:999",
		StopSignal: "SIGINT",
		Entrypoint: []string{"/bin/sh", "/" + entrypoint},
		Env:        []string{"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG=C.UTF-8", "PG_MAJOR=17", "PGDATA=/var/lib/postgresql/data"},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "PostgreSQL for the Soundcheck lab",
			"org.opencontainers.image.version":  version,
			"org.opencontainers.image.source":   "https://www.debian.org/distrib/packages",
			"org.opencontainers.image.licenses": "PostgreSQL",
		},
	}
}
