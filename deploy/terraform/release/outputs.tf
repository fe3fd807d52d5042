output "namespace" {
  description = "Namespace of the release."
  value       = helm_release.lab.namespace
}

output "next" {
  description = "Next commands."
  value       = <<-EOT
    go run ./lab verify -env k8s -context ${var.context} -namespace ${helm_release.lab.namespace}
    go run ./loadgen k8s -context ${var.context} -namespace ${helm_release.lab.namespace} -values deploy/terraform/load-pool.yaml -wait 10m -workers 3 -rate 10000 -duration 5m -trace-sample 0.01
    kubectl --context ${var.context} -n ${helm_release.lab.namespace} port-forward svc/soundcheck-grafana 3000
  EOT
}
