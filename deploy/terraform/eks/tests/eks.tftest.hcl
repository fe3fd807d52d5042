# tofu test (or terraform test) with a mocked provider: no account is needed, but the provider's schema.

mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["us-east-1a", "us-east-1b"] }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
  }
}

variables {
  authorized_networks = ["203.0.113.7/32"]
  budget_email        = "sre@example.com"
}

run "cluster" {
  command = plan

  assert {
    condition     = length(aws_db_instance.lab) == 0 && length(aws_budgets_budget.lab) == 1
    error_message = "database = \"cluster\" creates an RDS instance, or there is no budget."
  }
  assert {
    condition     = aws_eks_cluster.lab.vpc_config[0].public_access_cidrs == toset(["203.0.113.7/32"])
    error_message = "The control plane is open to other networks."
  }
  assert {
    condition     = !aws_subnet.public.map_public_ip_on_launch
    error_message = "Nodes have a public address."
  }
  assert {
    condition     = aws_subnet.private[0].cidr_block == "10.10.32.0/19" && aws_subnet.private[1].cidr_block == "10.10.64.0/19" && aws_subnet.public.cidr_block == "10.10.0.0/24"
    error_message = "The subnets overlap, or are not those of docs/eks.md."
  }
  assert {
    condition     = length(jsondecode(output.manifests).items) == 3
    error_message = "The manifests are not a StorageClass and two NodePools."
  }
}

run "managed" {
  command = plan

  variables {
    database = "managed"
  }

  assert {
    condition     = aws_db_instance.lab[0].manage_master_user_password && aws_db_instance.lab[0].skip_final_snapshot && !aws_db_instance.lab[0].publicly_accessible
    error_message = "RDS has a password in the state, a final snapshot, or a public address."
  }
}

run "open_control_plane" {
  command = plan

  variables {
    authorized_networks = ["0.0.0.0/0"]
  }

  expect_failures = [var.authorized_networks]
}
