variable "authorized_networks" {
  type        = list(string)
  description = "IPv4 networks that may reach the control plane, in CIDR notation, such as [\"203.0.113.7/32\"]. Include your own address."
  nullable    = false

  validation {
    condition     = length(var.authorized_networks) > 0 && alltrue([for cidr in var.authorized_networks : can(cidrnetmask(cidr))])
    error_message = "authorized_networks needs one IPv4 network in CIDR notation or more, such as [\"203.0.113.7/32\"]."
  }
  validation {
    condition     = alltrue([for cidr in var.authorized_networks : try(tonumber(split("/", cidr)[1]) >= 8, true)])
    error_message = "authorized_networks has a network larger than /8: list the networks you work from."
  }
}

variable "budget_email" {
  type        = string
  description = "E-mail address for the budget alert. \"\" creates no budget."
  nullable    = false

  validation {
    condition     = can(regex("^([^@ ]+@[^@ ]+)?$", var.budget_email))
    error_message = "budget_email is an e-mail address, or \"\" for no budget."
  }
}

variable "budget_usd" {
  type        = number
  description = "Monthly budget of the whole AWS account, in USD. E-mails at 50%, 90% and 100%."
  default     = 200
  nullable    = false

  validation {
    condition     = var.budget_usd >= 1 && floor(var.budget_usd) == var.budget_usd
    error_message = "budget_usd is a whole number, 1 or more."
  }
}

variable "name" {
  type        = string
  description = "Name of the cluster and prefix of all other names but those of the images."
  default     = "soundcheck"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name has 3 to 20 lower-case letters, digits and hyphens, and begins with a letter."
  }
  validation {
    condition     = !can(regex("--", var.name))
    error_message = "name has two hyphens in a row, which RDS rejects."
  }
}

variable "region" {
  type        = string
  description = "Region of everything."
  default     = "us-east-1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is a region such as us-east-1, not a zone."
  }
  validation {
    condition     = !can(regex("^(cn|eusc|us-gov|us-iso[a-z]?|eu-isoe)-", var.region))
    error_message = "region is in another partition than aws: the policies there have other ARNs."
  }
}

variable "lab_nodes_max" {
  type        = number
  description = "Max nodes for the lab, 1 to 10, each with 4 CPU cores (amd64)."
  default     = 2
  nullable    = false

  validation {
    condition     = var.lab_nodes_max >= 1 && var.lab_nodes_max <= 10 && floor(var.lab_nodes_max) == var.lab_nodes_max
    error_message = "lab_nodes_max is a whole number from 1 to 10."
  }
}

variable "load_nodes_max" {
  type        = number
  description = "Max nodes for load generators, 1 to 50, each with 4 CPU cores (amd64). There are none while no load test runs."
  default     = 4
  nullable    = false

  validation {
    condition     = var.load_nodes_max >= 1 && var.load_nodes_max <= 50 && floor(var.load_nodes_max) == var.load_nodes_max
    error_message = "load_nodes_max is a whole number from 1 to 50."
  }
}

variable "database" {
  type        = string
  description = "PostgreSQL: cluster (a pod of the chart) or managed (RDS)."
  default     = "cluster"
  nullable    = false

  validation {
    condition     = contains(["cluster", "managed"], var.database)
    error_message = "database is cluster or managed."
  }
}

variable "database_class" {
  type        = string
  description = "Instance class of RDS, for database = \"managed\"."
  default     = "db.t4g.medium"
  nullable    = false
}

variable "deletion_protection" {
  type        = bool
  description = "true: destroy fails until it is false again. The default lets destroy delete the cluster and the database with all data."
  default     = false
  nullable    = false
}
