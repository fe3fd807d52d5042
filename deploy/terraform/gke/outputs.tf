# go run ./deploy gke reads these. None is a secret.

output "context" {
  description = "kubectl context of the cluster."
  value       = "gke_${var.project}_${var.zone}_${google_container_cluster.lab.name}"
}

output "kubeconfig" {
  description = "Command that adds the context to kubectl's configuration."
  value       = ["gcloud", "container", "clusters", "get-credentials", google_container_cluster.lab.name, "--location", var.zone, "--project", var.project]
}

output "registry" {
  description = "Registry of the images, for go run ./deploy push -registry."
  value       = "${google_artifact_registry_repository.lab.location}-docker.pkg.dev/${var.project}"
}

output "registry_user" {
  description = "User of the registry."
  value       = "oauth2accesstoken"
}

output "registry_password" {
  description = "Command that prints a password of the registry, valid for an hour."
  value       = ["gcloud", "auth", "print-access-token"]
}

output "platform" {
  description = "Platform of the nodes, for go run ./deploy push -platform."
  value       = "linux/amd64"
}

output "manifests" {
  description = "Kubernetes objects that the cluster needs before the chart, as JSON. None here."
  value       = ""
}

output "deletion_protection" {
  description = "true: down deletes nothing."
  value       = var.deletion_protection
}

output "database" {
  description = "PostgreSQL outside the cluster: address, database, user, and the command that reads or sets its password. null: in the cluster."
  value = var.database != "managed" ? null : {
    host = google_compute_address.database[0].address
    name = google_sql_database.lab[0].name
    user = "postgres"
    get  = []
    set  = ["gcloud", "sql", "users", "set-password", "postgres", "--instance", google_sql_database_instance.lab[0].name, "--project", var.project]
  }
}

output "next" {
  description = "Next commands."
  value       = <<-EOT
    gcloud container clusters get-credentials ${google_container_cluster.lab.name} --location ${var.zone} --project ${var.project}
    gcloud auth configure-docker ${google_artifact_registry_repository.lab.location}-docker.pkg.dev
    go run ./deploy push -registry ${google_artifact_registry_repository.lab.location}-docker.pkg.dev/${var.project} -platform linux/amd64
    # make gke-up does these and installs the chart
  EOT
}
