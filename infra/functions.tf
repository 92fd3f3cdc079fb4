# The functions. They are HTTP functions: Pub/Sub pushes to them by our own subscriptions (topics.tf), and the decorator
# of main.py, not the way of deploying, says which of them take events.

# The zipped sources, which deploy.sh writes; a function keeps a copy of what it was built of.
resource "google_storage_bucket" "source" {
  name                        = "${local.bucket_prefix}-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 30
    }
  }

  depends_on = [google_project_service.api]
}

locals {
  # Names of the Cloud Run jobs by what they are for; those without an image are not there.
  name_of_job = { for key, job in google_cloud_run_v2_job.stitch : key => job.name }

  # What a function is told, group by group; adapters/config.py reads it and docs/configuration.md explains it. What is
  # null is not set.
  variables = {
    everywhere = {
      GOOGLE_CLOUD_PROJECT        = var.project_id
      LONGREEL_BUCKET             = google_storage_bucket.media.name
      LONGREEL_TOPIC_PREFIX       = local.topic_prefix
      LONGREEL_JOBS_COLLECTION    = var.jobs_collection
      LONGREEL_FIRESTORE_DATABASE = google_firestore_database.main.name
    }
    event    = { LONGREEL_DELIVERY_ATTEMPTS_MAX = tostring(var.delivery_attempts_max) }
    callable = { LONGREEL_APP_CHECK = var.app_check ? "on" : "off" }

    active_jobs = { LONGREEL_ACTIVE_JOBS_MAX = tostring(var.active_jobs_max) }
    daily_limit = { LONGREEL_DAILY_LIMIT_USD = try(format("%.2f", var.daily_limit_usd), null) }

    # Generators: which model a request means that names none, and where Veo is asked.
    models       = { LONGREEL_VEO_MODEL = var.veo_model, LONGREEL_OMNI_MODEL = var.omni_model }
    place_of_veo = { LONGREEL_VERTEX_LOCATION = var.vertex_location }

    # Engines: whoever starts a film, looks after one or calls one off must know all of them.
    place      = { LONGREEL_REGION = var.region }
    transcoder = { LONGREEL_TRANSCODER = var.transcoder ? "on" : "off" }
    jobs = {
      LONGREEL_CPU_JOB = lookup(local.name_of_job, "cpu", null)
      LONGREEL_GPU_JOB = lookup(local.name_of_job, "gpu", null)
    }
    sizes = {
      LONGREEL_GPU_TASKS_MAX  = tostring(var.gpu_tasks_max)
      LONGREEL_LARGER_CPU_JOB = lookup(local.name_of_job, "cpu-large", null)
      LONGREEL_LARGER_GPU_JOB = lookup(local.name_of_job, "gpu-large", null)
    }
  }

  variables_of = { for name, each in local.functions : name => {
    for variable, value in merge([
      for group in concat(["everywhere", each.topic == null ? "callable" : "event"], each.settings) : local.variables[group]
    ]...) : variable => value if value != null
  } }
}

resource "google_cloudfunctions2_function" "function" {
  for_each = local.functions

  name        = "${local.prefix}-${replace(each.key, "_", "-")}"
  location    = var.region
  description = each.value.topic == null ? "Longreel: Firebase callable ${each.key}" : "Longreel: topic ${each.value.topic}"

  build_config {
    # The version that the tests run on.
    runtime         = "python311"
    entry_point     = each.key
    service_account = google_service_account.build.id

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = var.source_object
      }
    }
  }

  service_config {
    available_cpu                    = "1"
    available_memory                 = each.value.memory
    timeout_seconds                  = each.value.timeout_s
    max_instance_request_concurrency = each.value.concurrency
    # None waits for work: an idle Longreel costs its storage.
    min_instance_count             = 0
    max_instance_count             = min(each.value.instances_max, var.instances_max)
    all_traffic_on_latest_revision = true
    service_account_email          = google_service_account.function[each.key].email
    # Pub/Sub of the same project is internal; apps are not.
    ingress_settings = each.value.topic == null ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY"
    # functions-framework gives every call that Cloud Run lets in a thread of its own, so that none waits inside.
    environment_variables = merge(local.variables_of[each.key], { THREADS = tostring(each.value.concurrency) })
  }

  depends_on = [
    google_project_iam_member.build,
    google_project_iam_member.build_reads,
  ]
}
