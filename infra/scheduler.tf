# The sweep's minute. A minute that is missed is no loss: the next one finds the same things overdue.

resource "google_cloud_scheduler_job" "sweep" {
  name        = "${local.prefix}-sweep"
  description = "Looks at everything that is overdue: what a crash or a lost message left behind, the sweep mends."
  region      = var.region
  schedule    = "* * * * *"
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.topic["sweep"].id
    data       = base64encode("{}")
  }

  depends_on = [google_project_service.api]
}
