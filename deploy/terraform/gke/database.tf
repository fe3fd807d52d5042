# PostgreSQL for database = "managed". It has no public address: the network reaches it through a Private Service
# Connect endpoint, which destroy can delete. (The older peering with Google's network blocks the deletion of ours.)

# A name cannot be used again for a week after the instance is deleted: the id is another one for each instance.
resource "terraform_data" "database" {
  count = var.database == "managed" ? 1 : 0
}

resource "google_sql_database_instance" "lab" {
  count = var.database == "managed" ? 1 : 0

  name                = "${var.name}-${substr(terraform_data.database[0].id, 0, 6)}"
  region              = local.region
  database_version    = "POSTGRES_17"
  deletion_protection = var.deletion_protection

  settings {
    edition                     = "ENTERPRISE"
    tier                        = var.database_tier
    availability_type           = "ZONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = 20
    disk_autoresize             = false
    deletion_protection_enabled = var.deletion_protection

    backup_configuration {
      enabled = false
    }

    ip_configuration {
      ipv4_enabled = false
      ssl_mode     = "ENCRYPTED_ONLY"
      psc_config {
        psc_enabled               = true
        allowed_consumer_projects = [var.project]
      }
    }
  }

  depends_on = [google_project_service.lab]
}

resource "google_sql_database" "lab" {
  count = var.database == "managed" ? 1 : 0

  name     = "albums"
  instance = google_sql_database_instance.lab[0].name
  # Its owner is a role, and dropping it is refused while a pool holds a connection: it goes with the instance.
  deletion_policy = "ABANDON"
}

resource "google_compute_address" "database" {
  count = var.database == "managed" ? 1 : 0

  name         = "${var.name}-database"
  region       = local.region
  subnetwork   = google_compute_subnetwork.lab.id
  address_type = "INTERNAL"
}

resource "google_compute_forwarding_rule" "database" {
  count = var.database == "managed" ? 1 : 0

  name                  = "${var.name}-database"
  region                = local.region
  network               = google_compute_network.lab.id
  ip_address            = google_compute_address.database[0].id
  target                = google_sql_database_instance.lab[0].psc_service_attachment_link
  load_balancing_scheme = "" # Private Service Connect wants it empty
}
