// Package terraform tests the root modules of deploy/terraform without a cloud and without providers: it parses them with the
// library of OpenTofu and Terraform, and checks format, references, variables, pinned versions, secrets in the state and
// rules such as "no node has a public address". No plan was run: the names of arguments were compared with the
// providers' documentation by hand, and .github/workflows/terraform.yml runs validate and the mocked tests elsewhere.
package terraform
