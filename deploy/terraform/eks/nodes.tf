# What Auto Mode reads from the cluster: a StorageClass, which it does not create, and two pools of nodes. They are
# Kubernetes objects, so that an output has them and go run ./deploy eks applies them.

locals {
  pools = {
    lab  = { nodes = var.lab_nodes_max, taints = [] }
    load = { nodes = var.load_nodes_max, taints = [{ key = "soundcheck/pool", value = "load", effect = "NoSchedule" }] } # ../load-pool.yaml tolerates it
  }

  storage_class = {
    apiVersion        = "storage.k8s.io/v1"
    kind              = "StorageClass"
    metadata          = { name = "ebs", annotations = { "storageclass.kubernetes.io/is-default-class" = "true" } }
    provisioner       = "ebs.csi.eks.amazonaws.com"
    volumeBindingMode = "WaitForFirstConsumer"
    reclaimPolicy     = "Delete"
    parameters        = { type = "gp3", encrypted = "true" }
  }

  node_pools = [for name, pool in local.pools : {
    apiVersion = "karpenter.sh/v1"
    kind       = "NodePool"
    metadata   = { name = name }
    spec = {
      limits = { cpu = tostring(4 * pool.nodes) }
      # Only nodes without pods are deleted: a lab that moves to a fuller node restarts.
      disruption = { consolidationPolicy = "WhenEmpty", consolidateAfter = "2m" }
      template = {
        metadata = { labels = { "soundcheck/pool" = name } }
        spec = {
          nodeClassRef = { group = "eks.amazonaws.com", kind = "NodeClass", name = "default" }
          taints       = pool.taints
          requirements = [for key, value in {
            "eks.amazonaws.com/instance-family" = "m6i"
            "eks.amazonaws.com/instance-cpu"    = "4"
            "karpenter.sh/capacity-type"        = "on-demand"
            "kubernetes.io/arch"                = "amd64"
          } : { key = key, operator = "In", values = [value] }]
        }
      }
    }
  }]
}
