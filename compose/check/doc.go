// Package check tests the files of the Compose lab, in every combination that is documented,
// and needs no Docker. Whether they are valid and consistent is for compose-go to say, which
// docker compose itself loads them with; tests here are about what the lab promises: no
// rights that a container does not need, limits, no password, and addresses that exist.
//
// It is a module of its own, so that what it takes to read such files is no part of the lab.
package check
