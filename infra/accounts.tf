# Who does what: one service account a function, one for the program that makes films, one that pushes, one that builds.
# What each may do is in access.tf.

resource "google_service_account" "function" {
  for_each = local.functions

  account_id   = "${local.account_prefix}-${each.value.account}"
  display_name = "Longreel ${var.environment}: ${each.key}"

  depends_on = [google_project_service.api]
}

# One for all four Cloud Run jobs: they are the same program on machines of four sizes, and need the same.
resource "google_service_account" "stitch_job" {
  account_id   = "${local.account_prefix}-stitch-job"
  display_name = "Longreel ${var.environment}: Cloud Run jobs that make films"

  depends_on = [google_project_service.api]
}

# As whom Pub/Sub calls the functions; it may do nothing else.
resource "google_service_account" "push" {
  account_id   = "${local.account_prefix}-push"
  display_name = "Longreel ${var.environment}: pushes from Pub/Sub to functions"

  depends_on = [google_project_service.api]
}

# As whom Cloud Build makes the functions and the images.
resource "google_service_account" "build" {
  account_id   = "${local.account_prefix}-build"
  display_name = "Longreel ${var.environment}: builds of functions and images"

  depends_on = [google_project_service.api]
}
