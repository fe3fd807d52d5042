# Network, cluster and its two node pools. No node has a public address; Cloud NAT lets them pull images.

resource "google_project_service" "lab" {
  for_each = toset(concat(
    ["artifactregistry.googleapis.com", "cloudresourcemanager.googleapis.com", "compute.googleapis.com", "container.googleapis.com", "iam.googleapis.com"],
    var.database == "managed" ? ["sqladmin.googleapis.com"] : [],
    var.billing_account != "" ? ["billingbudgets.googleapis.com"] : [],
  ))

  service            = each.key
  disable_on_destroy = false # something else in the project may use it
}

resource "google_compute_network" "lab" {
  name                    = var.name
  auto_create_subnetworks = false

  depends_on = [google_project_service.lab]
}

resource "google_compute_subnetwork" "lab" {
  name                     = var.name
  region                   = local.region
  network                  = google_compute_network.lab.id
  ip_cidr_range            = "10.10.0.0/20"
  private_ip_google_access = true

  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = "10.20.0.0/16"
  }
  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = "10.30.0.0/20"
  }
}

resource "google_compute_router" "lab" {
  name    = var.name
  region  = local.region
  network = google_compute_network.lab.id
}

resource "google_compute_router_nat" "lab" {
  name                               = var.name
  region                             = local.region
  router                             = google_compute_router.lab.name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

# Nodes have this account instead of the project's default one, which is an editor in many projects.
resource "google_service_account" "nodes" {
  account_id   = "${var.name}-nodes"
  display_name = "Nodes of ${var.name}"

  depends_on = [google_project_service.lab]
}

resource "google_project_iam_member" "nodes" {
  project = var.project
  role    = "roles/container.defaultNodeServiceAccount"
  member  = google_service_account.nodes.member
}

resource "google_container_cluster" "lab" {
  name                = var.name
  location            = var.zone
  deletion_protection = var.deletion_protection

  network           = google_compute_network.lab.id
  subnetwork        = google_compute_subnetwork.lab.id
  datapath_provider = "ADVANCED_DATAPATH" # enforces NetworkPolicies

  # The pool that the API insists on has no use: the pools below replace it.
  initial_node_count       = 1
  remove_default_node_pool = true

  node_config {
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
  }

  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }

  private_cluster_config {
    enable_private_nodes    = true
    enable_private_endpoint = false
    master_ipv4_cidr_block  = "172.16.0.0/28"
  }

  master_authorized_networks_config {
    gcp_public_cidrs_access_enabled = false # machines of other projects have Google's addresses, too

    dynamic "cidr_blocks" {
      for_each = var.authorized_networks
      content {
        display_name = cidr_blocks.key
        cidr_block   = cidr_blocks.value
      }
    }
  }

  # Pods cannot take the credentials of their node.
  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }

  release_channel {
    channel = "REGULAR"
  }

  # Not those of pods: at 10,000 req/s the services write 6.7 MB/s.
  logging_config {
    enable_components = ["SYSTEM_COMPONENTS"]
  }

  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS"]
    managed_prometheus {
      enabled = false
    }
  }

  lifecycle {
    # Of the pool that is gone.
    ignore_changes = [node_config]
  }

  depends_on = [google_project_iam_member.nodes]
}

resource "google_container_node_pool" "lab" {
  name       = "lab"
  cluster    = google_container_cluster.lab.id
  node_count = var.lab_nodes

  network_config {
    enable_private_nodes = true
  }

  node_config {
    machine_type    = var.lab_machine_type
    disk_type       = "pd-balanced"
    disk_size_gb    = 50
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    labels          = { "soundcheck/pool" = "lab" }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
  }
}

resource "google_container_node_pool" "load" {
  name               = "load"
  cluster            = google_container_cluster.lab.id
  initial_node_count = 0

  autoscaling {
    min_node_count = 0
    max_node_count = var.load_nodes_max
  }

  network_config {
    enable_private_nodes = true
  }

  node_config {
    machine_type    = var.load_machine_type
    disk_type       = "pd-balanced"
    disk_size_gb    = 50
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    labels          = { "soundcheck/pool" = "load" }

    # ../load-pool.yaml tolerates it.
    taint {
      key    = "soundcheck/pool"
      value  = "load"
      effect = "NO_SCHEDULE"
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
  }
}

# Images: REGISTRY/soundcheck/NAME:TAG, as go run ./deploy push writes them.
resource "google_artifact_registry_repository" "lab" {
  repository_id = "soundcheck"
  location      = local.region
  format        = "DOCKER"

  depends_on = [google_project_service.lab]
}

resource "google_artifact_registry_repository_iam_member" "nodes" {
  repository = google_artifact_registry_repository.lab.name
  location   = google_artifact_registry_repository.lab.location
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.nodes.member
}

data "google_project" "lab" {
  project_id = var.project

  depends_on = [google_project_service.lab]
}

resource "google_billing_budget" "lab" {
  count = var.billing_account == "" ? 0 : 1

  billing_account = var.billing_account
  display_name    = var.name

  budget_filter {
    projects = ["projects/${data.google_project.lab.number}"]
  }

  amount {
    specified_amount {
      units = tostring(var.budget_usd)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  depends_on = [google_project_service.lab]
}
