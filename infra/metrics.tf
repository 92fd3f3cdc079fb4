# Metrics out of the log: nothing of this is in the functions' way. metrics.yaml says what is counted, and
# docs/operating.md what the fields mean.

locals {
  metrics = yamldecode(file("${path.module}/metrics.yaml"))
  # PromQL allows no hyphen in a name.
  metric_prefix = replace(local.prefix, "-", "_")

  # Names of this environment's own, whole: another one's may begin with ours.
  services = join("|", [for each in google_cloudfunctions2_function.function : each.name])
  jobs     = join("|", [for each in google_cloud_run_v2_job.stitch : each.name])
  log_sources = {
    functions = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^(${local.services})$\""
    jobs      = "resource.type=\"cloud_run_job\" AND resource.labels.job_name=~\"^(${local.jobs})$\""
  }

  bounds = {
    # A tenth of a second to a day, with a bound at each time that an alert may name.
    ms = [
      100, 250, 500, 1000, 2500, 5000, 10000, 20000, 30000, 60000, 90000, 120000, 180000, 300000, 420000, 600000,
      900000, 1200000, 1800000, 3600000, 7200000, 14400000, 43200000, 86400000,
    ]
    many  = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000]
    bytes = [for gib in [0.25, 0.5, 1, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32] : gib * 1024 * 1024 * 1024]
    # A hundredth of a cent to a thousand dollars.
    money = [100, 1000, 10000, 50000, 100000, 500000, 1000000, 5000000, 10000000, 50000000, 100000000, 1000000000]
  }
}

resource "google_logging_metric" "metric" {
  for_each = local.metrics

  name        = "${local.metric_prefix}_${each.key}"
  description = each.value.description
  filter      = "${local.log_sources[each.value.source]} AND ${each.value.filter}"

  value_extractor  = can(each.value.value) ? "EXTRACT(jsonPayload.${each.value.value})" : null
  label_extractors = { for label, field in each.value.labels : label => "EXTRACT(jsonPayload.${field})" }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = can(each.value.value) ? "DISTRIBUTION" : "INT64"
    unit        = each.value.unit

    dynamic "labels" {
      for_each = each.value.labels
      content {
        key         = labels.key
        value_type  = "STRING"
        description = "Field ${labels.value} of the line."
      }
    }
  }

  dynamic "bucket_options" {
    for_each = can(each.value.value) ? [local.bounds[each.value.bounds]] : []
    content {
      explicit_buckets {
        bounds = bucket_options.value
      }
    }
  }
}
