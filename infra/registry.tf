# The images of the stitch program. A few hundred MB each: what is old goes, since storing it is paid for every month.

resource "google_artifact_registry_repository" "images" {
  repository_id = local.prefix
  location      = var.region
  format        = "DOCKER"
  description   = "The stitch program of Longreel, with a card and without"

  # Tags may be moved: jobs are deployed by digest. Tags for ever would refuse the second try of a build that pushed one of
  # its two images, and could keep old images from being deleted.

  cleanup_policy_dry_run = false

  # Enough to go back to; the one that is deployed is among them, since each deployment writes a newer one.
  cleanup_policies {
    id     = "keep-the-newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 5
    }
  }

  cleanup_policies {
    id     = "delete-the-old"
    action = "DELETE"
    condition {
      tag_state  = "ANY"
      older_than = "2592000s"
    }
  }

  depends_on = [google_project_service.api]
}
