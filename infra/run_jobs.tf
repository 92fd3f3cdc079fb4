# The stitch program (gpu_job/) as Cloud Run jobs: with a card and without, and each again with more memory. A call names
# the plan, the number of tasks and how long each may take (adapters/cloud_run.py). They cost nothing while nobody calls.

locals {
  # Instances of adapters/cloud_run_estimate.py, which reckons with these.
  stitch_vcpus             = 8
  stitch_memory_gib        = 16
  stitch_larger_memory_gib = 32

  # Longest that a task with a card may take. One without may take longer, if its call says so.
  stitch_task_timeout_s = 3600

  stitch_images = { cpu = var.image_cpu, gpu = var.image_gpu }
  stitch_machines = merge([
    for kind, image in local.stitch_images : image == "" ? {} : {
      (kind)            = { image = image, card = kind == "gpu", memory_gib = local.stitch_memory_gib }
      ("${kind}-large") = { image = image, card = kind == "gpu", memory_gib = local.stitch_larger_memory_gib }
    }
  ]...)
}

resource "google_cloud_run_v2_job" "stitch" {
  for_each = local.stitch_machines

  name     = "${local.prefix}-stitch-${each.key}"
  location = each.value.card ? local.gpu_region : var.region

  # A job holds nothing: it can be made anew at any time.
  deletion_protection = false

  # Cards began as a preview, which has to be asked for. Where they are none any more, Cloud Run takes that too, and says
  # GA afterwards, which is no change to be made.
  launch_stage = each.value.card ? "BETA" : null

  template {
    # The tasks of a film run all at once; how many there are is said by the call.
    task_count  = 1
    parallelism = 0

    template {
      service_account = google_service_account.stitch_job.email
      timeout         = "${local.stitch_task_timeout_s}s"

      # A task that dies is started again at once, and finds all but the piece it died at.
      max_retries = 1

      execution_environment = "EXECUTION_ENVIRONMENT_GEN2"
      # Cards in one zone cost a third less, and a film that loses its zone is begun elsewhere.
      gpu_zonal_redundancy_disabled = each.value.card ? true : null

      dynamic "node_selector" {
        for_each = each.value.card ? ["nvidia-l4"] : []
        content {
          accelerator = node_selector.value
        }
      }

      containers {
        image = each.value.image

        env {
          name  = "GOOGLE_CLOUD_PROJECT"
          value = var.project_id
        }

        resources {
          limits = merge(
            {
              cpu    = tostring(local.stitch_vcpus)
              memory = "${each.value.memory_gib}Gi"
            },
            each.value.card ? { "nvidia.com/gpu" = "1" } : {},
          )
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [launch_stage]
  }

  depends_on = [google_project_service.api]
}
