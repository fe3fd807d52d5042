package terraform

import (
	"strings"
	"testing"
)

// good is a module in which no check finds anything, with its page and lock file.
const good = `terraform {
  required_version = ">= 1.9.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "6.60.0"
    }
  }
}

variable "authorized_networks" {
  type        = list(string)
  description = "Networks."
  nullable    = false

  validation {
    condition     = alltrue([for cidr in var.authorized_networks : can(cidrnetmask(cidr))])
    error_message = "Networks."
  }
}

variable "deletion_protection" {
  type        = bool
  description = "Protection."
  default     = false
  nullable    = false
}

locals {
  name = "lab"
}

resource "aws_subnet" "private" {
  count                   = 2
  map_public_ip_on_launch = false
}

resource "aws_route" "nat" {
  destination_cidr_block = "0.0.0.0/0"
}

resource "aws_eks_cluster" "lab" {
  name                = local.name
  deletion_protection = var.deletion_protection

  vpc_config {
    subnet_ids              = aws_subnet.private[*].id
    endpoint_private_access = true
    public_access_cidrs     = var.authorized_networks
  }

  dynamic "rule" {
    for_each = [1]
    content {
      port = rule.value
    }
  }

  lifecycle {
    ignore_changes = [node_config]
  }
}

resource "aws_db_instance" "lab" {
  publicly_accessible         = false
  storage_encrypted           = true
  skip_final_snapshot         = true
  delete_automated_backups    = true
  manage_master_user_password = true
  deletion_protection         = var.deletion_protection
}

output "name" {
  description = "Name."
  value       = aws_eks_cluster.lab.name
}
`

const goodPage = "| variable | default | description |\n| --- | --- | --- |\n| `authorized_networks` | required | Networks. |\n| `deletion_protection` | `false` | Protection. |\n"

const goodLock = `provider "registry.opentofu.org/hashicorp/aws" {
  version     = "6.60.0"
  constraints = "6.60.0"
  hashes = [
    "h1:X+pOKXJK+13OHTy0FRs/2BZwVb3Yx1JnNecMWppleqo=",
    "h1:YRns9Ke5/lM+LgesXv7niA/lK/Id+6CrBb+R26FO23E=",
    "h1:rXxKFI+Xz09xhDQ/ZbYBr/AdLe6Y556vNOV7AzXRJEE=",
    "h1:sStk9nPIsdPH6HqzHX2ks73jANQJpRnb3QHLIHaoDyc=",
    "zh:04007b56bf3cd60edfcc27f781e403c0d62d056cad1105adc0322b5adf26913a",
    "zh:11bb0620cd8f038f998f553c5b4250e9693251a6e59cb64265d55709dcf86037",
    "zh:22db108fada357d17df06dc26f3ab9fa71c5190b847c4b70e155ad697afcb7bf",
    "zh:33db108fada357d17df06dc26f3ab9fa71c5190b847c4b70e155ad697afcb7bf",
  ]
}
`

func problems(text, page, lock string) []string {
	m := parse("lab", map[string][]byte{"main.tf": []byte(text)})
	all := m.problems
	for _, list := range [][]string{format(m), references(m), variables(m, page), pinned(m, []byte(lock)), secrets(m), policy(m)} {
		all = append(all, list...)
	}
	return all
}

// Each check finds what it is for.
func TestChecks(t *testing.T) {
	t.Parallel()
	if got := problems(good, goodPage, goodLock); len(got) > 0 {
		t.Fatalf("problems of a good module: %q", got)
	}
	for _, tt := range []struct{ name, old, new, want string }{
		{"syntax", "resource \"aws_route\" \"nat\" {", "resource \"aws_route\" \"nat\" {{", "main.tf:"},
		{"format", "  name = \"lab\"", "  name  = \"lab\"", "run tofu fmt"},
		{"module block", "output \"name\" {", "module \"m\" {\n}\n\noutput \"name\" {", "block module"},
		{"duplicate", "output \"name\" {", "resource \"aws_subnet\" \"private\" {\n}\n\noutput \"name\" {", "declared twice"},
		{"unknown resource", "aws_subnet.private[*].id", "aws_subnet.public[*].id", "aws_subnet.public is not declared"},
		{"unknown local", "= local.name", "= local.names", "local.names is not declared"},
		{"unknown variable", "= var.authorized_networks\n", "= var.networks\n", "var.networks is not declared"},
		{"unknown iterator", "port = rule.value", "port = rules.value", "rules.value is not declared"},
		{"unknown function", "can(cidrnetmask(cidr))", "can(cidrnetmsk(cidr))", "function cidrnetmsk"},
		{"unused variable", "= var.authorized_networks\n", "= [\"203.0.113.7/32\"]\n", "variable authorized_networks is not used"},
		{"unused local", "= local.name", "= \"lab\"", "local.name is not used"},
		{"validation of another variable", "cidr in var.authorized_networks", "cidr in var.deletion_protection", "a validation of authorized_networks refers to var.deletion_protection"},
		{"no type", "  type        = bool\n", "", "variable deletion_protection has no type"},
		{"no description", "  description = \"Protection.\"\n", "", "variable deletion_protection has no description"},
		{"no description of an output", "  description = \"Name.\"\n", "", "output name has no description"},
		{"null", "  default     = false\n  nullable    = false\n", "  default     = false\n", "write nullable = false"},
		{"another default than in the page", "default     = false", "default     = true", "another table of variables"},
		{"protected by default", "default     = false", "default     = true", "deletion_protection is not false by default"},
		{"open default", "  description = \"Networks.\"\n", "  description = \"Networks.\"\n  default     = [\"203.0.113.0/24\"]\n", "authorized_networks has a default"},
		{"required_version", ">= 1.9.0", ">= 1.5", "required_version"},
		{"version range", `version = "6.60.0"`, `version = "~> 6.60"`, `has version "~> 6.60"`},
		{"version without lock", `version = "6.60.0"`, `version = "6.61.0"`, "the lock file has version 6.60.0"},
		{"provider without pin", `resource "aws_route" "nat"`, `resource "random_id" "nat"`, "provider random is not in required_providers"},
		{"password", "  manage_master_user_password = true\n", "  manage_master_user_password = true\n  password                    = local.name\n", "password of aws_db_instance.lab is stored in the state"},
		{"unmanaged password", "  manage_master_user_password = true\n", "", "needs manage_master_user_password"},
		{"secret resource", `resource "aws_route" "nat"`, `resource "aws_secretsmanager_secret_version" "nat"`, "has a secret in the state"},
		{"secret variable", "variable \"deletion_protection\"", "variable \"db_password\"", "asks for a secret"},
		{"open control plane", "= var.authorized_networks\n", "= [\"0.0.0.0/0\"]\n", "is open to everyone"},
		{"control plane of another list", "= var.authorized_networks\n", "= concat(var.authorized_networks, aws_subnet.private[*].cidr_block)\n", "vpc_config.public_access_cidrs, want that the control plane"},
		{"open ingress", `resource "aws_route" "nat"`, `resource "aws_vpc_security_group_ingress_rule" "nat"`, "is open to everyone"},
		{"public subnet", "map_public_ip_on_launch = false", "map_public_ip_on_launch = true", "gives a public address"},
		{"public node", "  dynamic \"rule\" {", "  associate_public_ip_address = true\n\n  dynamic \"rule\" {", "associate_public_ip_address gives a public address"},
		{"public node on Google Cloud", "resource \"aws_route\" \"nat\" {", "resource \"google_compute_instance\" \"nat\" {\n  access_config {\n  }\n", "access_config gives a public address"},
		{"public database", "publicly_accessible         = false", "publicly_accessible         = true", "the database has no public address"},
		{"final snapshot", "  skip_final_snapshot         = true\n", "", "destroy leaves no snapshot"},
		{"protected", "  deletion_protection = var.deletion_protection\n", "  deletion_protection = true\n", "aws_eks_cluster.lab: deletion_protection, want that destroy deletes it"},
	} {
		if strings.Count(good, tt.old) == 0 {
			t.Errorf("%s: %q is not in the module", tt.name, tt.old)
		}
		found := strings.Join(problems(strings.Replace(good, tt.old, tt.new, 1), goodPage, goodLock), "\n")
		if !strings.Contains(found, tt.want) {
			t.Errorf("%s: problems %q, want %q", tt.name, found, tt.want)
		}
	}
	for _, tt := range []struct{ name, old, new, want string }{
		{"another address", "registry.opentofu.org", "registry.example.com", "the lock file has no registry.opentofu.org/hashicorp/aws"},
		{"not required", "registry.opentofu.org", "registry.example.com", "registry.example.com/hashicorp/aws, which is not required"},
		{"another constraint", `constraints = "6.60.0"`, `constraints = "6.61.0"`, "another version than its constraints"},
		{"invented hash", "zh:04007b56bf3c", "zh:zz007b56bf3c", "is no SHA-256 hash"},
		{"short hash", "2BZwVb3Yx1JnNecMWppleqo=", "=", "is no SHA-256 hash"},
		{"unknown kind", "h1:X+pO", "h2:X+pO", "is no SHA-256 hash"},
		{"out of order", "zh:11bb", "zh:00bb", "not in order"},
		{"one platform", "    \"h1:sStk9nPIsdPH6HqzHX2ks73jANQJpRnb3QHLIHaoDyc=\",\n", "", "has 3 h1 and 4 zh hashes"},
		{"no hashes", "  hashes = [", "  sums = [", "has no hashes"},
		{"syntax", "  ]\n", "", "lock file:"},
	} {
		found := strings.Join(problems(good, goodPage, strings.Replace(goodLock, tt.old, tt.new, 1)), "\n")
		if !strings.Contains(found, tt.want) {
			t.Errorf("lock file, %s: problems %q, want %q", tt.name, found, tt.want)
		}
	}
}

// Each rule is found when the argument of the real module is missing.
func TestRulesAreNeeded(t *testing.T) {
	t.Parallel()
	for _, r := range rules {
		found := false
		for name := range pages {
			for i := range load(t, name).resources(r.resource) {
				m := load(t, name)
				path, last := "", r.path
				if at := strings.LastIndex(r.path, "."); at >= 0 {
					path, last = r.path[:at], r.path[at+1:]
				}
				delete(nested(m.resources(r.resource)[i].Body, path).Attributes, last)
				found = true
				if text := strings.Join(policy(m), "\n"); !strings.Contains(text, r.path+", want that "+r.why) {
					t.Errorf("%s without %s of %s: problems %q", name, r.path, r.resource, text)
				}
			}
		}
		if !found {
			t.Errorf("no module has a %s: remove the rule", r.resource)
		}
	}
}
