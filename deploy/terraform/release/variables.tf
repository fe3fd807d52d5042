variable "context" {
  type        = string
  description = "kubectl context of the cluster: the output context of ../gke or ../eks."
  nullable    = false

  validation {
    condition     = var.context != ""
    error_message = "context is needed: without one, the chart would go to the current context of kubectl."
  }
}

variable "registry" {
  type        = string
  description = "Registry of our images: the output registry of ../gke or ../eks."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9._-]+)*$", var.registry))
    error_message = "registry is a host, perhaps with a path: no scheme and no / at the end."
  }
}

variable "images" {
  type        = string
  description = "Values file with the tags of our images, as go run ./deploy push writes it."
  nullable    = false
}

variable "database_secret" {
  type        = string
  description = "Secret with the URL of PostgreSQL under the key uri. \"\": PostgreSQL is a pod of the chart."
  default     = ""
  nullable    = false
}

variable "values" {
  type        = list(string)
  description = "More values files of the chart. Later ones win."
  default     = []
  nullable    = false
}

variable "namespace" {
  type        = string
  description = "Namespace of the release. go run ./deploy gke and eks expect the default."
  default     = "soundcheck"
  nullable    = false
}

variable "kubeconfig" {
  type        = string
  description = "File of kubectl's configuration."
  default     = "~/.kube/config"
  nullable    = false
}
