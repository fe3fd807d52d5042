variable "project" {
  type        = string
  description = "Id of the Google Cloud project. It exists and has a billing account."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project is the id of a project: 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "authorized_networks" {
  type        = map(string)
  description = "IPv4 networks that may reach the control plane: CIDR by name, such as { office = \"203.0.113.7/32\" }. Include your own address."
  nullable    = false

  validation {
    condition     = length(var.authorized_networks) > 0 && alltrue([for cidr in values(var.authorized_networks) : can(cidrnetmask(cidr))])
    error_message = "authorized_networks needs one IPv4 network in CIDR notation or more, such as { office = \"203.0.113.7/32\" }."
  }
  validation {
    condition     = alltrue([for cidr in values(var.authorized_networks) : try(tonumber(split("/", cidr)[1]) >= 8, true)])
    error_message = "authorized_networks has a network larger than /8: list the networks you work from."
  }
}

variable "billing_account" {
  type        = string
  description = "Id of the billing account for the budget alert, such as 012345-6789AB-CDEF01. \"\" creates no budget."
  nullable    = false

  validation {
    condition     = can(regex("^([0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6})?$", var.billing_account))
    error_message = "billing_account has the form 012345-6789AB-CDEF01 (gcloud billing accounts list), or is \"\" for no budget."
  }
}

variable "budget_usd" {
  type        = number
  description = "Monthly budget of the project, in the currency of the billing account. E-mails at 50%, 90% and 100%."
  default     = 200
  nullable    = false

  validation {
    condition     = var.budget_usd >= 1 && floor(var.budget_usd) == var.budget_usd
    error_message = "budget_usd is a whole number, 1 or more."
  }
}

variable "name" {
  type        = string
  description = "Name of the cluster and prefix of all other names."
  default     = "soundcheck"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name has 3 to 20 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "zone" {
  type        = string
  description = "Zone of the cluster. Its region has the network, the images and the database."
  default     = "us-central1-a"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+-[a-z]$", var.zone))
    error_message = "zone is a zone such as us-central1-a, not a region."
  }
}

variable "lab_machine_type" {
  type        = string
  description = "Machine type of the nodes for the lab (amd64)."
  default     = "e2-standard-4"
  nullable    = false
}

variable "lab_nodes" {
  type        = number
  description = "Nodes for the lab, 1 to 10."
  default     = 2
  nullable    = false

  validation {
    condition     = var.lab_nodes >= 1 && var.lab_nodes <= 10 && floor(var.lab_nodes) == var.lab_nodes
    error_message = "lab_nodes is a whole number from 1 to 10."
  }
}

variable "load_machine_type" {
  type        = string
  description = "Machine type of the nodes for load generators (amd64)."
  default     = "n2-standard-4"
  nullable    = false
}

variable "load_nodes_max" {
  type        = number
  description = "Max nodes for load generators, 1 to 50. There are none while no load test runs."
  default     = 4
  nullable    = false

  validation {
    condition     = var.load_nodes_max >= 1 && var.load_nodes_max <= 50 && floor(var.load_nodes_max) == var.load_nodes_max
    error_message = "load_nodes_max is a whole number from 1 to 50."
  }
}

variable "database" {
  type        = string
  description = "PostgreSQL: cluster (a pod of the chart) or managed (Cloud SQL)."
  default     = "cluster"
  nullable    = false

  validation {
    condition     = contains(["cluster", "managed"], var.database)
    error_message = "database is cluster or managed."
  }
}

variable "database_tier" {
  type        = string
  description = "Machine type of Cloud SQL, for database = \"managed\"."
  default     = "db-custom-2-7680"
  nullable    = false
}

variable "deletion_protection" {
  type        = bool
  description = "true: destroy fails until it is false again. The default lets destroy delete the cluster and the database with all data."
  default     = false
  nullable    = false
}
