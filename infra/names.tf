# Every name begins with the environment, and every number that more than one file needs stands here.

data "google_project" "main" {
  project_id = var.project_id
}

locals {
  prefix       = "longreel-${var.environment}"
  topic_prefix = "${var.environment}-"
  # Ids of service accounts end at 30 characters, and an environment's name may have 15 of them.
  account_prefix = "lr-${var.environment}"
  # Buckets share one name space with the whole world; a project's id is its own already.
  bucket_prefix = "${var.project_id}-${local.prefix}"

  labels = {
    application = "longreel"
    environment = var.environment
  }

  gpu_region = coalesce(var.gpu_region, var.region)

  # What Google itself does for us, it does as these.
  agent_of_project = {
    for service, name in {
      pubsub     = "gcp-sa-pubsub"
      transcoder = "gcp-sa-transcoder"
      vertex     = "gcp-sa-aiplatform"
      firebase   = "gcp-sa-firebasestorage"
    } : service => "service-${data.google_project.main.number}@${name}.iam.gserviceaccount.com"
  }
}

# Numbers that are pipeline/limits.py's as well; tests/infra holds the two against each other. In seconds.
locals {
  limits = {
    # CLAIM_LEASE: a call that orders a clip is given up when others may hold its claim to be lost.
    claim_lease_s = 90
    # STITCH_LEASE: the same of a film.
    stitch_lease_s = 180
    # EVENT_LONGEST: an event that is older is buried with its reason, so Pub/Sub must not forget it before.
    event_longest_s = {
      requested          = 3600
      segment_requested  = 3600
      segment_done       = 86400
      stitch_requested   = 3600
      object_finalized   = 604800
      transcoder_reports = 86400
      sweep              = 300
    }
  }
}

# The deployed functions: entry point of main.py → what it needs. Everything about a function follows from its entry.
#
# account          what its service account's id ends with, 11 characters at most
# topic            whose messages are pushed to it; null for a callable
# timeout_s        when Cloud Run stops a call; less than the ack deadline, so that no call is made again while it runs
# memory           what it takes to start, and what `concurrency` of the worst files take (docs/decisions/0019)
# concurrency      calls that one instance takes at once, each in a thread of its own (THREADS)
# instances_max    how many instances there may be: with `concurrency`, what a flood may cost. var.instances_max, which
#                  follows the project's quota, goes before
# documents        whether it reads and writes Firestore
# objects          what it may do in the bucket: write, or forget (read, and delete checkpoints), or upload, or none
# publishes        topics beside `dead_letters`, which every function with a topic may write to
# settings         what else it is told (functions.tf)
# calls            what else it talks to: vertex, to order clips or to call them off; transcoder and jobs (of Cloud Run)
locals {
  functions = {
    on_requested = {
      account       = "requested"
      topic         = "requested"
      timeout_s     = 60
      memory        = "512Mi"
      concurrency   = 8
      instances_max = 20
      documents     = true
      objects       = "none"
      publishes     = ["segment_requested", "stitch_requested"]
      settings      = []
      calls         = []
    }
    on_segment_requested = {
      account       = "seg-request"
      topic         = "segment_requested"
      timeout_s     = local.limits.claim_lease_s
      memory        = "1Gi"
      concurrency   = 4
      instances_max = 20
      documents     = true
      objects       = "write"
      publishes     = ["segment_requested", "stitch_requested"]
      settings      = ["models", "place_of_veo"]
      calls         = ["vertex"]
    }
    on_object_finalized = {
      account       = "obj-final"
      topic         = "object_finalized"
      timeout_s     = 120
      memory        = "1Gi"
      concurrency   = 4
      instances_max = 20
      documents     = true
      objects       = "write"
      publishes     = ["segment_done", "segment_requested", "stitch_requested"]
      settings      = []
      calls         = ["vertex"]
    }
    on_segment_done = {
      account       = "seg-done"
      topic         = "segment_done"
      timeout_s     = local.limits.claim_lease_s
      memory        = "1Gi"
      concurrency   = 2
      instances_max = 20
      documents     = true
      objects       = "write"
      publishes     = ["segment_requested", "stitch_requested"]
      settings      = ["models", "place_of_veo"]
      calls         = ["vertex"]
    }
    on_stitch_requested = {
      account       = "stitch-req"
      topic         = "stitch_requested"
      timeout_s     = local.limits.stitch_lease_s
      memory        = "512Mi"
      concurrency   = 1
      instances_max = 50
      documents     = true
      objects       = "write"
      publishes     = ["stitch_requested"]
      settings      = ["place", "transcoder", "jobs", "sizes"]
      calls         = ["transcoder", "jobs"]
    }
    on_transcoder_report = {
      account       = "tc-report"
      topic         = "transcoder_reports"
      timeout_s     = 120
      memory        = "512Mi"
      concurrency   = 2
      instances_max = 20
      documents     = true
      objects       = "write"
      publishes     = ["stitch_requested"]
      settings      = ["place", "transcoder"]
      calls         = ["transcoder"]
    }
    on_sweep = {
      account       = "sweep"
      topic         = "sweep"
      timeout_s     = local.limits.event_longest_s.sweep
      memory        = "1Gi"
      concurrency   = 1
      instances_max = 2
      documents     = true
      objects       = "write"
      publishes     = ["requested", "segment_requested", "stitch_requested"]
      settings      = ["place", "transcoder", "jobs", "place_of_veo"]
      calls         = ["vertex", "transcoder", "jobs"]
    }
    create_job = {
      account       = "create-job"
      topic         = null
      timeout_s     = 60
      memory        = "512Mi"
      concurrency   = 8
      instances_max = 20
      documents     = true
      objects       = "forget"
      publishes     = ["requested"]
      settings      = ["models", "place", "transcoder", "jobs", "active_jobs", "daily_limit"]
      calls         = ["vertex", "transcoder", "jobs"]
    }
    cancel_job = {
      account       = "cancel-job"
      topic         = null
      timeout_s     = 60
      memory        = "512Mi"
      concurrency   = 8
      instances_max = 20
      documents     = true
      objects       = "forget"
      publishes     = []
      settings      = ["place", "transcoder", "jobs"]
      calls         = ["vertex", "transcoder", "jobs"]
    }
    resume_job = {
      account       = "resume-job"
      topic         = null
      timeout_s     = 60
      memory        = "512Mi"
      concurrency   = 8
      instances_max = 20
      documents     = true
      objects       = "none"
      publishes     = ["requested", "segment_requested", "stitch_requested"]
      settings      = ["daily_limit"]
      calls         = []
    }
    create_upload_url = {
      account       = "upload-url"
      topic         = null
      timeout_s     = 60
      memory        = "512Mi"
      concurrency   = 8
      instances_max = 20
      documents     = false
      objects       = "upload"
      publishes     = []
      settings      = []
      calls         = []
    }
  }

  # Topic → the function that its messages are pushed to.
  function_of_topic = { for name, each in local.functions : each.topic => name if each.topic != null }
  callables         = toset([for name, each in local.functions : name if each.topic == null])
}
