terraform {
  # OpenTofu 1.10 or later, Terraform 1.9 or later.
  required_version = ">= 1.9.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "6.60.0"
    }
  }

  # The state is in this folder. To share it, create a bucket with versions and remove the comment signs:
  # backend "s3" {
  #   bucket       = "BUCKET"
  #   key          = "soundcheck/eks"
  #   region       = "us-east-1"
  #   use_lockfile = true
  # }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { app = "soundcheck" }
  }
}
