package oci

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Registry is a registry as this machine reaches it.
type Registry struct {
	Host      string // HOST:PORT, perhaps with a path
	PlainHTTP bool   // always for a loopback address
	User      string // "": what docker login has stored, for any user
	Password  string
}

// Push pushes one image, of one platform or several, as HOST/soundcheck/NAME:TAG, and returns the
// tag. Pushed says whether the registry lacked it.
func (r Registry) Push(ctx context.Context, platforms []*Image) (tag string, pushed bool, err error) {
	repo, err := r.repository("soundcheck/" + platforms[0].Name)
	if err != nil {
		return "", false, err
	}
	top := platforms[0].Manifest
	tag = platforms[0].Tag()
	var index blob
	if len(platforms) > 1 {
		x := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
		for _, i := range platforms {
			x.Manifests = append(x.Manifests, i.Manifest)
		}
		if index, err = packJSON(x.MediaType, x); err != nil {
			return "", false, err
		}
		top = index.Descriptor
		tag = top.Digest.Encoded()[:12]
	}
	if have, err := repo.Resolve(ctx, tag); err == nil && have.Digest == top.Digest {
		return tag, false, nil
	} else if err != nil && !errors.Is(err, errdef.ErrNotFound) {
		return "", false, r.explain(err)
	}
	for _, i := range platforms {
		for _, b := range i.blobs {
			if err := push(ctx, repo, b); err != nil {
				return "", false, fmt.Errorf("push image %s: %w", i.Name, r.explain(err))
			}
		}
	}
	if len(platforms) > 1 {
		if err := push(ctx, repo, index); err != nil {
			return "", false, fmt.Errorf("push image %s: %w", platforms[0].Name, r.explain(err))
		}
	}
	return tag, true, r.explain(repo.Tag(ctx, top, tag))
}

// push pushes a blob or manifest that the registry lacks.
func push(ctx context.Context, repo *remote.Repository, b blob) error {
	if have, err := repo.Exists(ctx, b.Descriptor); err != nil || have {
		return err
	}
	content, err := b.open()
	if err != nil {
		return err
	}
	defer content.Close()
	return repo.Push(ctx, b.Descriptor, content)
}

// Has reports whether the registry has an image, such as soundcheck/console:4f0c12ab34cd.
func (r Registry) Has(ctx context.Context, name, tag string) (bool, error) {
	repo, err := r.repository(name)
	if err != nil {
		return false, err
	}
	_, err = repo.Resolve(ctx, tag)
	if errors.Is(err, errdef.ErrNotFound) {
		return false, nil
	}
	return err == nil, r.explain(err)
}

func (r Registry) repository(name string) (*remote.Repository, error) {
	repo, err := remote.NewRepository(r.Host + "/" + name)
	if err != nil {
		return nil, fmt.Errorf("registry %q: %w; write HOST:PORT", r.Host, err)
	}
	repo.PlainHTTP = r.PlainHTTP || loopback(r.Host)
	client := &auth.Client{Client: &http.Client{Transport: transport()}, Cache: auth.NewCache()}
	// What docker login has stored. Without it, the registry may be open.
	if r.User != "" {
		host, _, _ := strings.Cut(r.Host, "/")
		client.Credential = auth.StaticCredential(host, auth.Credential{Username: r.User, Password: r.Password})
	} else if store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{}); err == nil {
		client.Credential = credentials.Credential(store)
	}
	repo.Client = client
	return repo, nil
}

func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	t.ResponseHeaderTimeout = time.Minute
	return t
}

// loopback reports whether a registry is on this machine, where registries have no certificate.
func loopback(host string) bool {
	host, _, _ = strings.Cut(host, "/")
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// explain adds the fix to an error of a registry.
func (r Registry) explain(err error) error {
	var status *errcode.ErrorResponse
	var network *net.OpError
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &status) && (status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden):
		if r.User != "" {
			return fmt.Errorf("registry %s rejects the push by user %s: the password is wrong, or the account has no permission to write images (%w)", r.Host, r.User, err)
		}
		host, _, _ := strings.Cut(r.Host, "/")
		return fmt.Errorf("registry %s rejects the push: log in with docker login %s (%w)", r.Host, host, err)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("registry %s has no TLS: add -plain-http, if you trust the network", r.Host)
	case errors.As(err, &network) && network.Op == "dial" && r.User != "": // of a cloud
		return fmt.Errorf("registry %s does not respond (%w)", r.Host, network.Err)
	case errors.As(err, &network) && network.Op == "dial":
		return fmt.Errorf("registry %s does not respond (%w): start it (make k3d-up, microk8s enable registry), or name another one with -registry", r.Host, network.Err)
	}
	return fmt.Errorf("registry %s: %w", r.Host, err)
}

// ParsePlatforms returns the platforms in a list such as linux/amd64,linux/arm64.
func ParsePlatforms(list string) ([]string, error) {
	platforms := strings.Split(list, ",")
	for _, p := range platforms {
		if p != "linux/amd64" && p != "linux/arm64" {
			return nil, fmt.Errorf("platform %q is not linux/amd64 or linux/arm64", p)
		}
	}
	return platforms, nil
}
