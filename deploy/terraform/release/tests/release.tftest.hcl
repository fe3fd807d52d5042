# tofu test (or terraform test) with a mocked provider: no cluster is needed, but the provider's schema.

mock_provider "helm" {}

variables {
  context  = "gke_my-project_us-central1-a_soundcheck"
  registry = "us-central1-docker.pkg.dev/my-project"
  images   = "values.yaml" # any values file
}

run "postgres_in_the_cluster" {
  command = plan

  assert {
    condition     = yamldecode(helm_release.lab.values[3]).database == { kind = "postgres" }
    error_message = "The chart does not install PostgreSQL."
  }
  assert {
    condition     = yamldecode(helm_release.lab.values[2]).images.registry == var.registry
    error_message = "The images are in another registry."
  }
}

run "managed" {
  command = plan

  variables {
    database_secret = "soundcheck-database"
    values          = ["values.yaml"]
  }

  assert {
    condition     = yamldecode(helm_release.lab.values[3]).database.postgres.existingSecret == "soundcheck-database" && length(helm_release.lab.values) == 5
    error_message = "The chart does not use the managed database, or ignores the user's values."
  }
}

run "no_context" {
  command = plan

  variables {
    context = ""
  }

  expect_failures = [var.context]
}
