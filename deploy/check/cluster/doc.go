// Package cluster tests the Helm chart on the cluster of the current kubectl context: it installs releases,
// sends load, and breaks what can break. "make test-k8s" runs it.
//
// SOUNDCHECK_K8S=1 enables it. SOUNDCHECK_K8S_VALUES names the files with the values of the images, separated by
// colons; SOUNDCHECK_K8S_UPGRADE may name one more, with another tag of the images. The tests create namespaces whose
// names begin with ct-, and delete them. They need kubectl and helm; with helm3 in PATH, they test Helm 3 as well.
// SOUNDCHECK_K8S_TRAEFIK is the image of Traefik; default: docker.io/library/traefik:v3.6.12.
//
// The cluster must be idle: on a busy one, services shed requests, which the tests count as failed. A Traefik of the
// cluster may claim the GatewayClass ct-traefik, too. The storage class must honour fsGroup or make writable volumes, and the addresses of Services or of nodes must be
// reachable.
package cluster
