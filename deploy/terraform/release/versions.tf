terraform {
  # OpenTofu 1.10 or later, Terraform 1.9 or later.
  required_version = ">= 1.9.0"

  required_providers {
    helm = {
      source  = "hashicorp/helm"
      version = "3.2.0"
    }
  }

  # The state is in this folder: a workspace for each cloud. To share it, add a backend as in ../gke or ../eks.
}

provider "helm" {
  kubernetes = {
    config_path    = var.kubeconfig
    config_context = var.context
  }
}
