# One page that shows how films go: what the alerts look at, and what one looks at next.

locals {
  rate = { for name in ["jobs_ended", "quota_hits", "paid_retries", "dead_letters"] : name => "increase(${local.series[name]}{${local.ours}}[10m])" }
  p50  = { for name, unit in local.timings : name => "histogram_quantile(0.5, sum by (le, ${unit}) (increase(${local.series[name]}_bucket{${local.ours}}[1h])))" }
  p99  = { for name, unit in local.timings : name => "histogram_quantile(0.99, sum by (le, ${unit}) (increase(${local.series[name]}_bucket{${local.ours}}[1h])))" }
  # Metric → the label that its lines are drawn by.
  timings = {
    job_ms           = "job_type"
    generation_ms    = "generator"
    first_segment_ms = "generator"
    stitch_ms        = "engine"
    megapixels_per_s = "engine"
  }

  # Title → what is drawn; from left to right, two in a row.
  charts = [
    { title = "Jobs that ended, by how (10 min)", lines = ["sum by (job_type, state) (${local.rate.jobs_ended})"] },
    { title = "Why jobs fail (10 min)", lines = ["sum by (error_code) (increase(${local.series.jobs_ended}{${local.ours},state=\"failed\"}[10m]))"] },
    { title = "How long a job takes: median and 99 % (ms)", lines = [local.p50.job_ms, local.p99.job_ms] },
    { title = "Request to first clip: median and 99 % (ms)", lines = [local.p50.first_segment_ms, local.p99.first_segment_ms] },
    { title = "How long a clip takes, by generator (ms)", lines = [local.p50.generation_ms, local.p99.generation_ms] },
    { title = "How long a stitch takes, by engine (ms)", lines = [local.p50.stitch_ms, local.p99.stitch_ms] },
    { title = "Megapixels of film by each second of stitch", lines = [local.p50.megapixels_per_s] },
    {
      title = "Peak memory of the Cloud Run tasks (bytes)"
      lines = ["histogram_quantile(0.99, sum by (le, job_name) (increase(${local.series.peak_memory_bytes}_bucket{monitored_resource=\"cloud_run_job\"}[1h])))"]
    },
    { title = "Quota hits and paid retries (10 min)", lines = ["sum by (generator, event) (${local.rate.quota_hits})", "sum by (generator) (${local.rate.paid_retries})"] },
    { title = "Messages that a function gave up (10 min)", lines = ["sum by (topic) (${local.rate.dead_letters})"] },
    { title = "Spent by user and project (USD a day)", lines = ["sum by (user_id, project) (increase(${local.series.spent_micro_usd}_sum{${local.ours}}[1d])) / 1000000"] },
    { title = "Paid for nothing, by generator (USD a day)", lines = ["sum by (generator) (increase(${local.series.wasted_micro_usd}_sum{${local.ours}}[1d])) / 1000000"] },
    {
      title = "Messages that wait, by topic"
      lines = ["max by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${local.subscriptions}|${google_pubsub_subscription.dead_letters.name}\"})"]
    },
    {
      title = "Executions of the Cloud Run jobs that ended, by result (10 min)"
      lines = ["sum by (job_name, result) (increase(run_googleapis_com:job_completed_execution_count{monitored_resource=\"cloud_run_job\",job_name=~\"${local.jobs}\"}[10m]))"]
    },
  ]
}

resource "google_monitoring_dashboard" "films" {
  dashboard_json = jsonencode({
    displayName = "Longreel ${var.environment}"
    mosaicLayout = {
      columns = 48
      tiles = [for index, chart in local.charts : {
        xPos   = index % 2 * 24
        yPos   = floor(index / 2) * 16
        width  = 24
        height = 16
        widget = {
          title = chart.title
          xyChart = {
            dataSets = [for line in chart.lines : {
              plotType        = "LINE"
              timeSeriesQuery = { prometheusQuery = line }
            }]
          }
        }
      }]
    }
  })

  depends_on = [google_logging_metric.metric]
}
