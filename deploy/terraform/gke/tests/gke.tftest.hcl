# tofu test (or terraform test) with a mocked provider: no account is needed, but the provider's schema.

mock_provider "google" {}

variables {
  project             = "my-project"
  authorized_networks = { office = "203.0.113.7/32" }
  billing_account     = "012345-6789AB-CDEF01"
}

run "cluster" {
  command = plan

  assert {
    condition     = length(google_sql_database_instance.lab) == 0
    error_message = "database = \"cluster\" creates no Cloud SQL instance."
  }
  assert {
    condition     = google_container_cluster.lab.private_cluster_config[0].enable_private_nodes
    error_message = "Nodes have a public address."
  }
  assert {
    condition     = [for b in google_container_cluster.lab.master_authorized_networks_config[0].cidr_blocks : b.cidr_block] == ["203.0.113.7/32"]
    error_message = "The control plane is open to other networks."
  }
  assert {
    condition     = google_container_node_pool.load.autoscaling[0].min_node_count == 0 && google_container_node_pool.load.node_config[0].taint[0].value == "load"
    error_message = "The pool for load does not scale to none, or has no taint."
  }
  assert {
    condition     = google_artifact_registry_repository.lab.location == "us-central1"
    error_message = "The region is not that of the zone."
  }
  assert {
    condition     = output.database == null
    error_message = "There is a database outside the cluster."
  }
}

run "managed" {
  command = plan

  variables {
    database        = "managed"
    billing_account = ""
  }

  assert {
    condition     = google_sql_database_instance.lab[0].settings[0].ip_configuration[0].ipv4_enabled == false && google_sql_database_instance.lab[0].deletion_protection == false
    error_message = "Cloud SQL has a public address, or destroy would fail."
  }
  assert {
    condition     = length(google_billing_budget.lab) == 0
    error_message = "There is a budget without a billing account."
  }
}

run "open_control_plane" {
  command = plan

  variables {
    authorized_networks = { all = "0.0.0.0/0" }
  }

  expect_failures = [var.authorized_networks]
}

run "region_instead_of_zone" {
  command = plan

  variables {
    zone = "us-central1"
  }

  expect_failures = [var.zone]
}
