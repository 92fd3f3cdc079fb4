# Whom to wake, when, and what they should do. Each text leads to its section of docs/operating.md, where
# tests/infra/test_alerts.py looks it up.

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(var.alert_emails)

  display_name = "Longreel ${var.environment}: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }

  depends_on = [google_project_service.api]
}

locals {
  # A metric of ours as PromQL names it.
  series = { for name in keys(local.metrics) : name => "logging_googleapis_com:user_${local.metric_prefix}_${name}" }
  ours   = "monitored_resource=\"cloud_run_revision\""

  utilization   = "metric.type=\"run.googleapis.com/container/memory/utilizations\""
  subscriptions = join("|", [for each in google_pubsub_subscription.push : each.name])

  # What is asked of our own metrics. Without any line that counts there is no answer, and no alert.
  query_alerts = {
    failures = {
      title    = "More than 5 % of the films fail"
      severity = "ERROR"
      anchor   = "alert-more-than-5--of-the-films-fail"
      advice   = "Look in the dashboard which errorCode they fail with, mend its cause, then resume the jobs: what was finished is kept."
      query = join(" ", [
        "sum(increase(${local.series.jobs_ended}{${local.ours},state=\"failed\"}[1h]))",
        "/ sum(increase(${local.series.jobs_ended}{${local.ours},state=~\"failed|completed\"}[1h])) > 0.05",
      ])
    }
    slow = {
      title    = "A film takes too long"
      severity = "WARNING"
      anchor   = "alert-a-film-takes-too-long"
      advice   = "Look in the dashboard which stage is slow: the clips, the stitch, or the wait for a quota."
      query    = "histogram_quantile(0.99, sum by (le) (increase(${local.series.job_ms}_bucket{${local.ours}}[1h]))) > ${var.slow_job_minutes * 60000}"
    }
    paid_retry = {
      title    = "A clip was ordered again that may have been billed"
      severity = "WARNING"
      anchor   = "alert-a-clip-was-ordered-again-that-may-have-been-billed"
      advice   = "Find the segment by paidRetry=true in the log; its attempts' errors say why the first came to nothing."
      query    = "sum(increase(${local.series.paid_retries}{${local.ours}}[10m])) > 0"
    }
    model_retired = {
      title    = "A model is gone"
      severity = "CRITICAL"
      anchor   = "alert-a-model-is-gone"
      advice   = "Set veo_model or omni_model to one that is there, deploy, and resume the jobs."
      query    = "sum(increase(${local.series.models_retired}{${local.ours}}[10m])) > 0"
    }
  }
  spend_alert = var.daily_limit_usd == null ? {} : {
    spend = {
      title    = "The day has cost more than its limit"
      severity = "CRITICAL"
      anchor   = "alert-the-day-has-cost-more-than-its-limit"
      advice   = "See in the dashboard which user and which project; raise daily_limit_usd, or let the work wait for tomorrow."
      query = join(" ", [
        "((sum(increase(${local.series.spent_micro_usd}_sum{${local.ours}}[1d])) or vector(0))",
        "+ (sum(increase(${local.series.wasted_micro_usd}_sum{${local.ours}}[1d])) or vector(0)))",
        "/ 1000000 > ${var.daily_limit_usd}",
      ])
    }
  }

  # What is asked of Google's metrics: each condition alone is enough.
  threshold_alerts = {
    memory = {
      title    = "Memory is nearly used up"
      severity = "WARNING"
      anchor   = "alert-memory-is-nearly-used-up"
      advice   = "Give the function or the job more memory; a film that was killed is made again by the larger job."
      above    = 0.9
      for_s    = 0
      aligner  = "ALIGN_PERCENTILE_99"
      filters = merge({
        "a function" = "${local.utilization} AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=monitoring.regex.full_match(\"${local.services}\")"
        }, local.jobs == "" ? {} : {
        "a job" = "${local.utilization} AND resource.type=\"cloud_run_job\" AND resource.labels.job_name=monitoring.regex.full_match(\"${local.jobs}\")"
      })
    }
    queue = {
      title    = "Messages wait for a function"
      severity = "WARNING"
      anchor   = "alert-messages-wait-for-a-function"
      advice   = "Look at the log of the function that the topic is pushed to: it fails, or has too few instances."
      above    = var.queue_depth_max
      for_s    = 600
      aligner  = "ALIGN_MIN"
      filters = {
        "a topic" = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=monitoring.regex.full_match(\"${local.subscriptions}\")"
      }
    }
    dead_letter = {
      title    = "A message could not be handled"
      severity = "ERROR"
      anchor   = "alert-a-message-could-not-be-handled"
      advice   = "`longreel dead-letters list` says which and why; when the cause is gone, `longreel dead-letters replay` publishes it again."
      above    = 0
      for_s    = 0
      aligner  = "ALIGN_MAX"
      filters = {
        "dead letters" = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${google_pubsub_subscription.dead_letters.name}\""
      }
    }
  }
}

locals {
  # Where there are no jobs there is nothing to look at.
  execution_alert = local.jobs == "" ? {} : {
    execution = {
      title    = "An execution of a stitch has failed"
      severity = "WARNING"
      anchor   = "alert-an-execution-of-a-stitch-has-failed"
      advice   = "The last line of the execution's log says why, and by which clip; the job tries again by itself and goes on where this one stopped."
      above    = 0
      for_s    = 0
      aligner  = "ALIGN_DELTA"
      filters = {
        "a job" = "metric.type=\"run.googleapis.com/job/completed_execution_count\" AND resource.type=\"cloud_run_job\" AND metric.labels.result=\"failed\" AND resource.labels.job_name=monitoring.regex.full_match(\"${local.jobs}\")"
      }
    }
  }
}

resource "google_monitoring_alert_policy" "query" {
  for_each = merge(local.query_alerts, local.spend_alert)

  display_name = "Longreel ${var.environment}: ${each.value.title}"
  combiner     = "OR"
  severity     = each.value.severity

  conditions {
    display_name = each.value.title
    condition_prometheus_query_language {
      query               = each.value.query
      duration            = "0s"
      evaluation_interval = "60s"
      # A new metric is known to Monitoring some minutes after its first line only.
      disable_metric_validation = true
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "${each.value.advice}\n\nWhat it means and what to do, step by step: ${var.operating_page}#${each.value.anchor}"
  }

  notification_channels = [for each in google_monitoring_notification_channel.email : each.id]

  depends_on = [google_logging_metric.metric]
}

resource "google_monitoring_alert_policy" "threshold" {
  for_each = merge(local.threshold_alerts, local.execution_alert)

  display_name = "Longreel ${var.environment}: ${each.value.title}"
  combiner     = "OR"
  severity     = each.value.severity

  dynamic "conditions" {
    for_each = each.value.filters
    content {
      display_name = "${each.value.title}: ${conditions.key}"
      condition_threshold {
        filter          = conditions.value
        comparison      = "COMPARISON_GT"
        threshold_value = each.value.above
        duration        = "${each.value.for_s}s"

        aggregations {
          alignment_period   = "60s"
          per_series_aligner = each.value.aligner
        }
      }
    }
  }

  # What has ended sends no more data, and an incident without data stays open for a week: the next would tell nobody.
  alert_strategy {
    auto_close = "1800s"
  }

  documentation {
    mime_type = "text/markdown"
    content   = "${each.value.advice}\n\nWhat it means and what to do, step by step: ${var.operating_page}#${each.value.anchor}"
  }

  notification_channels = [for each in google_monitoring_notification_channel.email : each.id]

  depends_on = [google_project_service.api]
}
