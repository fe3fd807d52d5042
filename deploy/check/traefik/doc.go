// Package traefik pins a Traefik for the test of the gateway, where no registry with its image can be reached:
//
//	cd deploy/check/traefik && CGO_ENABLED=0 go build -o DIR/ github.com/traefik/traefik/v3/cmd/traefik
//	printf 'FROM scratch\nCOPY traefik /\nENTRYPOINT ["/traefik"]\n' | docker build -t IMAGE -f - DIR
//
// The build takes a quarter of an hour on two cores. SOUNDCHECK_K8S_TRAEFIK names the image.
package traefik
