terraform {
  # OpenTofu 1.10 or later, Terraform 1.9 or later.
  required_version = ">= 1.9.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "7.45.0"
    }
  }

  # The state is in this folder. To share it, create a bucket with versions and remove the comment signs:
  # backend "gcs" {
  #   bucket = "BUCKET"
  #   prefix = "soundcheck/gke"
  # }
}

provider "google" {
  project = var.project
  region  = local.region
  zone    = var.zone

  # The API of budgets needs the project that pays for its quota.
  billing_project       = var.project
  user_project_override = true

  default_labels = { app = "soundcheck" }
}

locals {
  region = join("-", slice(split("-", var.zone), 0, 2))
}
