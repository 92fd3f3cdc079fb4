# What must be there to read these files. docs/decisions/0019-infrastructure.md says why the provider is pinned to 6.50,
# and why no .terraform.lock.hcl is committed.

terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }

  # The bucket and the prefix are named by deploy.sh (`-backend-config`), one prefix an environment.
  backend "gcs" {}
}

provider "google" {
  project = var.project_id
  region  = var.region

  # Some APIs, that of the rules among them, take a person's own login only where it says whose quota it uses.
  user_project_override = true
  billing_project       = var.project_id

  default_labels = local.labels
}
