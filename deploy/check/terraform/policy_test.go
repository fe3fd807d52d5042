package terraform

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// inState are arguments whose value is stored in the state, and resources that have a secret there.
var (
	secretArgument = regexp.MustCompile(`^((root_|master_)?password|secret_(string|binary)|private_key.*|token|client_key|set_sensitive|string_?data|binary_data)$`)
	secretResource = regexp.MustCompile(`^(random_password|tls_private_key|kubernetes_secret(_v1)?|aws_secretsmanager_secret_version|aws_iam_access_key|google_service_account_key|google_sql_user|google_secret_manager_secret_version)$`)
	secretName     = regexp.MustCompile(`(?i)password|private_key|api_key`)
)

// secrets reports what would write a secret into the state that can be kept out of it.
func secrets(m *module) (problems []string) {
	for _, b := range append(m.of("resource"), m.of("data")...) {
		name := strings.Join(b.Labels, ".")
		if secretResource.MatchString(b.Labels[0]) {
			problems = append(problems, name+" has a secret in the state")
		}
		each(b.Body, func(a *hclsyntax.Attribute) {
			if secretArgument.MatchString(a.Name) {
				problems = append(problems, fmt.Sprintf("%s: %s of %s is stored in the state", a.Range(), a.Name, name))
			}
		})
	}
	for _, b := range m.of("variable") {
		if secretName.MatchString(b.Labels[0]) {
			problems = append(problems, "variable "+b.Labels[0]+" asks for a secret")
		}
	}
	for _, b := range m.resources("aws_db_instance") {
		if !is(b.Body.Attributes["manage_master_user_password"], cty.True) {
			problems = append(problems, "aws_db_instance."+b.Labels[1]+" needs manage_master_user_password = true")
		}
	}
	return problems
}

// each calls see for each argument, also those of nested blocks.
func each(b *hclsyntax.Body, see func(*hclsyntax.Attribute)) {
	for _, a := range b.Attributes {
		see(a)
	}
	for _, inner := range b.Blocks {
		each(inner.Body, see)
	}
}

// rule is an argument that each resource of a type must have.
type rule struct {
	resource, path string
	value          cty.Value // cty.NilVal: refers to to
	to             string
	why            string
}

const protection = "var.deletion_protection"

var rules = []rule{
	{"google_container_cluster", "private_cluster_config.enable_private_nodes", cty.True, "", "nodes have no public address"},
	{"google_container_cluster", "master_authorized_networks_config.cidr_blocks.cidr_block", cty.NilVal, "cidr_blocks", "the control plane is open to authorized_networks only"},
	{"google_container_cluster", "master_authorized_networks_config.gcp_public_cidrs_access_enabled", cty.False, "", "the control plane is closed to Google's public addresses"},
	{"google_container_cluster", "deletion_protection", cty.NilVal, protection, "destroy deletes it"},
	{"google_container_node_pool", "network_config.enable_private_nodes", cty.True, "", "nodes have no public address"},
	{"google_container_node_pool", "node_config.workload_metadata_config.mode", cty.StringVal("GKE_METADATA"), "", "pods do not get the credentials of the node"},
	{"google_container_node_pool", "node_config.service_account", cty.NilVal, "google_service_account.nodes", "the default account may be an editor of the project"},
	{"google_sql_database_instance", "settings.ip_configuration.ipv4_enabled", cty.False, "", "the database has no public address"},
	{"google_sql_database_instance", "settings.ip_configuration.ssl_mode", cty.StringVal("ENCRYPTED_ONLY"), "", "connections use TLS"},
	{"google_sql_database_instance", "deletion_protection", cty.NilVal, protection, "destroy deletes it"},
	{"google_sql_database_instance", "settings.deletion_protection_enabled", cty.NilVal, protection, "destroy deletes it"},
	{"google_project_service", "disable_on_destroy", cty.False, "", "something else in the project may use the API"},
	{"aws_eks_cluster", "vpc_config.subnet_ids", cty.NilVal, "aws_subnet.private", "nodes have no public address"},
	{"aws_eks_cluster", "vpc_config.public_access_cidrs", cty.NilVal, "var.authorized_networks", "the control plane is open to authorized_networks only"},
	{"aws_eks_cluster", "vpc_config.endpoint_private_access", cty.True, "", "nodes reach the control plane without the internet"},
	{"aws_eks_cluster", "deletion_protection", cty.NilVal, protection, "destroy deletes it"},
	{"aws_ecr_repository", "force_delete", cty.True, "", "destroy deletes it with its images"},
	{"aws_db_instance", "publicly_accessible", cty.False, "", "the database has no public address"},
	{"aws_db_instance", "storage_encrypted", cty.True, "", "its disk is encrypted"},
	{"aws_db_instance", "skip_final_snapshot", cty.True, "", "destroy leaves no snapshot"},
	{"aws_db_instance", "delete_automated_backups", cty.True, "", "destroy leaves no backup"},
	{"aws_db_instance", "deletion_protection", cty.NilVal, protection, "destroy deletes it"},
}

// public are arguments that give a machine a public address, as the block access_config does on Google Cloud.
var public = []string{"associate_public_ip_address", "map_public_ip_on_launch", "assign_ipv6_address_on_creation"}

// policy reports what must not be: public nodes, networks open to everyone, resources that destroy would leave.
func policy(m *module) (problems []string) {
	for _, r := range rules {
		for _, b := range m.resources(r.resource) {
			a := arg(b.Body, r.path)
			if r.value != cty.NilVal && !is(a, r.value) || r.value == cty.NilVal && !refers(a, r.to) && !refers(a, r.to+".value") {
				problems = append(problems, fmt.Sprintf("%s.%s: %s, want that %s", r.resource, b.Labels[1], r.path, r.why))
			}
		}
	}
	for key, b := range m.blocks {
		var walk func(body *hclsyntax.Body)
		walk = func(body *hclsyntax.Body) {
			for _, a := range body.Attributes {
				if slices.Contains(public, a.Name) && !is(a, cty.False) {
					problems = append(problems, fmt.Sprintf("%s: %s gives a public address", a.Range(), a.Name))
				}
				_ = hclsyntax.VisitAll(a.Expr, func(n hclsyntax.Node) hcl.Diagnostics {
					v, ok := n.(*hclsyntax.LiteralValueExpr)
					if ok && v.Val.Type() == cty.String && slices.Contains([]string{"0.0.0.0/0", "::/0"}, v.Val.AsString()) && (b.Labels[0] != "aws_route" || a.Name != "destination_cidr_block") {
						problems = append(problems, fmt.Sprintf("%s: %s is open to everyone", a.Range(), key))
					}
					return nil
				})
			}
			for _, inner := range body.Blocks {
				if inner.Type == "access_config" && strings.HasPrefix(b.Labels[0], "google_") {
					problems = append(problems, fmt.Sprintf("%s: %s gives a public address", inner.Range(), inner.Type))
				}
				walk(inner.Body)
			}
		}
		walk(b.Body)
	}
	if b := m.blocks["variable.authorized_networks"]; b != nil && b.Body.Attributes["default"] != nil {
		problems = append(problems, "authorized_networks has a default: nobody's network is known")
	}
	if b := m.blocks["variable.deletion_protection"]; b != nil && !is(b.Body.Attributes["default"], cty.False) {
		problems = append(problems, "deletion_protection is not false by default: destroy would fail")
	}
	return problems
}
