# go run ./deploy eks reads these. None is a secret.

output "context" {
  description = "kubectl context of the cluster."
  value       = "eks-${aws_eks_cluster.lab.name}-${var.region}"
}

output "kubeconfig" {
  description = "Command that adds the context to kubectl's configuration."
  value       = ["aws", "eks", "update-kubeconfig", "--name", aws_eks_cluster.lab.name, "--region", var.region, "--alias", "eks-${aws_eks_cluster.lab.name}-${var.region}"]
}

output "registry" {
  description = "Registry of the images, for go run ./deploy push -registry."
  value       = split("/", aws_ecr_repository.lab["loadgen"].repository_url)[0]
}

output "registry_user" {
  description = "User of the registry."
  value       = "AWS"
}

output "registry_password" {
  description = "Command that prints a password of the registry, valid for 12 hours."
  value       = ["aws", "ecr", "get-login-password", "--region", var.region]
}

output "platform" {
  description = "Platform of the nodes, for go run ./deploy push -platform."
  value       = "linux/amd64"
}

output "manifests" {
  description = "Kubernetes objects that the cluster needs before the chart, as JSON: nodes and storage."
  value       = jsonencode({ apiVersion = "v1", kind = "List", items = concat([local.storage_class], local.node_pools) })
}

output "deletion_protection" {
  description = "true: down deletes nothing."
  value       = var.deletion_protection
}

output "database" {
  description = "PostgreSQL outside the cluster: address, database, user, and the command that reads or sets its password. null: in the cluster."
  value = var.database != "managed" ? null : {
    host = aws_db_instance.lab[0].address
    name = aws_db_instance.lab[0].db_name
    user = aws_db_instance.lab[0].username
    get  = ["aws", "secretsmanager", "get-secret-value", "--secret-id", aws_db_instance.lab[0].master_user_secret[0].secret_arn, "--query", "SecretString", "--output", "text", "--region", var.region]
    set  = []
  }
}

output "next" {
  description = "Next commands."
  value       = <<-EOT
    aws eks update-kubeconfig --name ${aws_eks_cluster.lab.name} --region ${var.region} --alias eks-${aws_eks_cluster.lab.name}-${var.region}
    aws ecr get-login-password --region ${var.region} | docker login --username AWS --password-stdin ${split("/", aws_ecr_repository.lab["loadgen"].repository_url)[0]}
    go run ./deploy push -registry ${split("/", aws_ecr_repository.lab["loadgen"].repository_url)[0]} -platform linux/amd64
    # make eks-up does these, without Docker, creates the nodes and installs the chart
  EOT
}
