# The decisions of the functions, to be asked by SQL: a sink of log lines, a BigQuery dataset over them, and views with
# the columns of `longreel report`. docs/decisions/0024-analytics.md says why the lines are linked and not copied.

variable "analytics" {
  description = "Whether the functions' decisions are kept for SQL, with views of costs, latencies and failures in BigQuery. Off, nothing of it is made, and what was kept goes."
  type        = bool
  default     = true
  nullable    = false
}

variable "analytics_kept_days" {
  description = "Days after which a decision is forgotten; the views look at all that is kept."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.analytics_kept_days >= 1 && var.analytics_kept_days <= 3650 && floor(var.analytics_kept_days) == var.analytics_kept_days
    error_message = "analytics_kept_days should be a whole number from 1 to 3650."
  }
}

locals {
  analytics = var.analytics ? { main = local.prefix } : {}
  # BigQuery's names know no hyphen.
  analytics_dataset = replace(local.prefix, "-", "_")
  analytics_lines   = "${local.analytics_dataset}_lines"

  # Each file of views/ is a view. Those that others are made of come first.
  analytics_views = {
    decisions             = "Each job's creation, and each decision that changed something"
    jobs                  = "Each job"
    cost_per_user_and_day = "What each user's jobs of a day cost"
    latencies             = "How long jobs, generations and stitches took: percentiles"
    failures              = "What fails most"
    success_by_type       = "How jobs of each type ended"
  }
}

resource "google_project_service" "bigquery" {
  for_each = local.analytics

  service            = "bigquery.googleapis.com"
  disable_on_destroy = false
}

# Once deleted, its name is taken for seven days, in which `gcloud logging buckets undelete` brings it back.
resource "google_logging_project_bucket_config" "lines" {
  for_each = local.analytics

  project          = var.project_id
  location         = var.region
  bucket_id        = "${each.value}-lines"
  description      = "Longreel: decisions of ${var.environment}, for SQL"
  retention_days   = var.analytics_kept_days
  enable_analytics = true

  depends_on = [google_project_service.api]
}

# A sink into a bucket of its own project needs no role.
resource "google_logging_project_sink" "lines" {
  for_each = local.analytics

  name        = "${each.value}-lines"
  description = "Longreel: decisions of ${var.environment}"
  destination = "logging.googleapis.com/${google_logging_project_bucket_config.lines[each.key].id}"
  # By name, because `staging` and `staging-2` begin alike.
  filter = join(" ", [
    "resource.type=\"cloud_run_revision\" AND jsonPayload.action=(\"created\" OR \"decision\") AND resource.labels.service_name=(",
    join(" OR ", [for function in google_cloudfunctions2_function.function : "\"${function.name}\""]),
    ")",
  ])
  unique_writer_identity = true
}

resource "google_logging_linked_dataset" "lines" {
  for_each = local.analytics

  link_id     = local.analytics_lines
  bucket      = google_logging_project_bucket_config.lines[each.key].id
  description = "Longreel: decisions of ${var.environment}, as Cloud Logging keeps them"

  depends_on = [google_project_service.bigquery]
}

resource "google_bigquery_dataset" "analytics" {
  for_each = local.analytics

  dataset_id  = local.analytics_dataset
  description = "Longreel: what the jobs of ${var.environment} cost, how long they took, what failed"
  # Where the lines are: a query looks into one place.
  location                   = var.region
  delete_contents_on_destroy = true

  depends_on = [google_project_service.bigquery]
}

resource "google_bigquery_table" "decisions" {
  for_each = local.analytics

  dataset_id          = google_bigquery_dataset.analytics[each.key].dataset_id
  table_id            = "decisions"
  description         = local.analytics_views["decisions"]
  deletion_protection = false

  view {
    query          = templatefile("${path.module}/views/decisions.sql.tftpl", { lines = "${var.project_id}.${google_logging_linked_dataset.lines[each.key].link_id}._AllLogs" })
    use_legacy_sql = false
  }
}

resource "google_bigquery_table" "jobs" {
  for_each = local.analytics

  dataset_id          = google_bigquery_table.decisions[each.key].dataset_id
  table_id            = "jobs"
  description         = local.analytics_views["jobs"]
  deletion_protection = false

  view {
    query          = templatefile("${path.module}/views/jobs.sql.tftpl", { dataset = "${var.project_id}.${local.analytics_dataset}" })
    use_legacy_sql = false
  }
}

resource "google_bigquery_table" "view" {
  for_each = { for name, text in local.analytics_views : name => text if var.analytics && !contains(["decisions", "jobs"], name) }

  dataset_id          = google_bigquery_table.jobs["main"].dataset_id
  table_id            = each.key
  description         = each.value
  deletion_protection = false

  view {
    query          = templatefile("${path.module}/views/${each.key}.sql.tftpl", { dataset = "${var.project_id}.${local.analytics_dataset}" })
    use_legacy_sql = false
  }
}
