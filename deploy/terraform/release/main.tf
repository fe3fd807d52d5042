# The lab's chart on a cluster of ../gke or ../eks.

resource "helm_release" "lab" {
  name             = "soundcheck"
  namespace        = var.namespace
  create_namespace = true
  chart            = "${path.module}/../../charts/soundcheck"
  timeout          = 900 # seconds: nodes start first

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
