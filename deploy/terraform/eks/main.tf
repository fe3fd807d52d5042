# The cluster is an EKS Auto Mode one: AWS starts and ends nodes for pods, and has the drivers for volumes and the
# network built in. A node group would need cluster-autoscaler or Karpenter, with roles, charts and upgrades of their own.

data "aws_iam_policy_document" "cluster" {
  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]
    principals {
      type        = "Service"
      identifiers = ["eks.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "cluster" {
  name               = "${var.name}-cluster"
  assume_role_policy = data.aws_iam_policy_document.cluster.json
}

resource "aws_iam_role_policy_attachment" "cluster" {
  for_each = toset(["AmazonEKSBlockStoragePolicy", "AmazonEKSClusterPolicy", "AmazonEKSComputePolicy", "AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy"])

  role       = aws_iam_role.cluster.name
  policy_arn = "arn:aws:iam::aws:policy/${each.key}"
}

data "aws_iam_policy_document" "node" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "node" {
  name               = "${var.name}-node"
  assume_role_policy = data.aws_iam_policy_document.node.json
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each = toset(["AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy"])

  role       = aws_iam_role.node.name
  policy_arn = "arn:aws:iam::aws:policy/${each.key}"
}

resource "aws_eks_cluster" "lab" {
  name                          = var.name
  role_arn                      = aws_iam_role.cluster.arn
  deletion_protection           = var.deletion_protection
  bootstrap_self_managed_addons = false # as Auto Mode wants it

  vpc_config {
    subnet_ids              = aws_subnet.private[*].id # of the nodes, too
    endpoint_private_access = true
    endpoint_public_access  = true
    public_access_cidrs     = var.authorized_networks
  }

  access_config {
    authentication_mode                         = "API"
    bootstrap_cluster_creator_admin_permissions = true
  }

  compute_config {
    enabled       = true
    node_pools    = ["system"] # those of the lab and of load are in nodes.tf
    node_role_arn = aws_iam_role.node.arn
  }

  kubernetes_network_config {
    elastic_load_balancing {
      enabled = true
    }
  }

  storage_config {
    block_storage {
      enabled = true
    }
  }

  # Versions in extended support cost six times as much.
  upgrade_policy {
    support_type = "STANDARD"
  }

  # EKS needs its permissions, and nodes their way to it, until the last node is deleted.
  depends_on = [
    aws_iam_role_policy_attachment.cluster,
    aws_iam_role_policy_attachment.node,
    aws_route.private,
    aws_route_table_association.private,
  ]
}

# Images: REGISTRY/soundcheck/NAME:TAG, as go run ./deploy push writes them. ECR creates no repository by itself.
resource "aws_ecr_repository" "lab" {
  for_each = toset(["album-store", "console", "labtool", "loadgen", "proxy-service"])

  name         = "soundcheck/${each.key}"
  force_delete = true # with its images
}

resource "aws_budgets_budget" "lab" {
  count = var.budget_email == "" ? 0 : 1

  name         = var.name
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.budget_usd)
  limit_unit   = "USD"

  dynamic "notification" {
    for_each = [50, 90, 100]
    content {
      notification_type          = "ACTUAL"
      comparison_operator        = "GREATER_THAN"
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = [var.budget_email]
    }
  }
}
