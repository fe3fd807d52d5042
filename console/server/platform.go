package server

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"soundcheck/lab/plan"
)

// serviceHost is the host name of a Service in a cluster.
var serviceHost = regexp.MustCompile(`^([a-z0-9-]+)\.([a-z0-9-]+)\.svc(\.|$)`)

// platform returns attributes of the document, for the hints of the pages: whether the lab is in
// containers and, in Kubernetes, the Deployments of the services with a fault API, as arguments of
// kubectl.
func (c Config) platform() string {
	switch {
	case len(c.Containers) == 0:
		return ""
	case !c.Kubernetes:
		return `data-containers="compose" `
	}
	var b strings.Builder
	b.WriteString(`data-containers="kubernetes" `)
	for _, container := range c.Containers {
		if container.Name != plan.StoreName && container.Name != "proxy-service" {
			continue
		}
		// The chart's Deployments have the names of their Services.
		if u, err := url.Parse(container.Ready); err == nil {
			if m := serviceHost.FindStringSubmatch(u.Hostname()); m != nil {
				fmt.Fprintf(&b, `data-%s="-n %s deployment/%s" `, container.Name, m[2], m[1])
			}
		}
	}
	return b.String()
}

// check returns the command that checks the containers.
func (c Config) check() string {
	switch {
	case len(c.Containers) == 0:
		return ""
	case c.Kubernetes:
		return "make k8s-status"
	}
	return "make compose-ps"
}
