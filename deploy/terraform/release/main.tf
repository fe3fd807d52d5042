# The lab's chart on a cluster of ../gke or ../eks.

locals {
  chart = "${path.module}/../../charts/soundcheck"
}

resource "helm_release" "lab" {
  name             = "soundcheck"
  namespace        = var.namespace
  create_namespace = true
  chart            = local.chart
  timeout          = 900 # seconds: nodes start first

  # The provider compares the version of a chart in a folder and not its files. Another description is a change.
  description = "chart ${sha256(join("", [for name in fileset(local.chart, "**") : filesha256("${local.chart}/${name}")]))}"

  values = concat(
    [
      file("${path.module}/values.yaml"),
      file(var.images),
      yamlencode({ images = { registry = var.registry } }),
      yamlencode({ database = merge({ kind = "postgres" }, var.database_secret == "" ? {} : {
        postgres = { mode = "external", existingSecret = var.database_secret }
      }) }),
    ],
    [for name in var.values : file(name)],
  )
}
