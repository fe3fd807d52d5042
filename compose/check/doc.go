// Package check tests every documented combination of the Compose files, without Docker.
// compose-go, the loader of docker compose, checks that they are valid and consistent. The
// tests check the lab's guarantees: no unneeded privileges, resource limits, no password in
// the files, and addresses that exist.
//
// It is a separate module, so the lab does not depend on compose-go.
package check
