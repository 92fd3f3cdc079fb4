# Least privilege: by the single topic, bucket, job or service where Google can, else by the project with a condition,
# and only where it can neither, by the project. Every role follows from an entry of local.functions.

# Firestore: only this environment's database.
resource "google_project_iam_member" "documents" {
  for_each = { for name, each in local.functions : name => each if each.documents }

  project = var.project_id
  role    = "roles/datastore.user"
  member  = google_service_account.function[each.key].member

  condition {
    title      = "${local.prefix}-database"
    expression = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.main.name}\""
  }
}

# Pub/Sub: only the topics that a function writes to.
resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = merge([
    for name, each in local.functions : {
      for topic in concat(each.publishes, each.topic == null ? [] : [local.dead_letters]) :
      "${name}/${topic}" => { function = name, topic = topic }
    }
  ]...)

  topic  = google_pubsub_topic.topic[each.value.topic].id
  role   = "roles/pubsub.publisher"
  member = google_service_account.function[each.value.function].member
}

# Cloud Storage: clips, films and papers. Reading is unconditional where a function reads at all, because listing is
# asked of the bucket as a whole.
locals {
  objects_prefix = "projects/_/buckets/${google_storage_bucket.media.name}/objects"

  # What a function does in the bucket → role → prefix of the objects that it is for; empty for all.
  storage_roles = {
    none   = {}
    write  = { "roles/storage.objectUser" = "" }
    forget = { "roles/storage.objectViewer" = "", "roles/storage.objectUser" = "checkpoints/" }
    upload = { "roles/storage.objectCreator" = "users/" }
  }
}

resource "google_storage_bucket_iam_member" "objects" {
  for_each = merge([
    for name, each in local.functions : {
      for role, prefix in local.storage_roles[each.objects] :
      "${name}/${role}" => { function = name, role = role, prefix = prefix }
    }
  ]...)

  bucket = google_storage_bucket.media.name
  role   = each.value.role
  member = google_service_account.function[each.value.function].member

  dynamic "condition" {
    for_each = each.value.prefix == "" ? [] : [each.value.prefix]
    content {
      title      = "${local.prefix}-${trimsuffix(condition.value, "/")}"
      expression = "resource.name.startsWith(\"${local.objects_prefix}/${condition.value}\")"
    }
  }
}

resource "google_storage_bucket_iam_member" "stitch_job" {
  bucket = google_storage_bucket.media.name
  role   = "roles/storage.objectUser"
  member = google_service_account.stitch_job.member
}

# An upload URL is signed by Google in the name of the account that asks, which must be allowed to speak for itself.
resource "google_service_account_iam_member" "signs_uploads" {
  for_each = { for name, each in local.functions : name => each if each.objects == "upload" }

  service_account_id = google_service_account.function[each.key].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.function[each.key].member
}

# Veo and Omni: Google knows these permissions by the project alone.
resource "google_project_iam_member" "vertex" {
  for_each = { for name, each in local.functions : name => each if contains(each.calls, "vertex") }

  project = var.project_id
  role    = "roles/aiplatform.user"
  member  = google_service_account.function[each.key].member
}

# The Transcoder API: Google's own roles are to look, or to do everything; ours is what the adapter calls.
resource "google_project_iam_custom_role" "transcodes" {
  role_id     = replace("${local.prefix}-transcodes", "-", "_")
  title       = "Longreel ${var.environment}: jobs of the Transcoder API"
  description = "Creates, finds and deletes jobs of the Transcoder API; nothing of templates."
  permissions = [
    "transcoder.jobs.create",
    "transcoder.jobs.delete",
    "transcoder.jobs.get",
    "transcoder.jobs.list",
  ]

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "transcodes" {
  for_each = { for name, each in local.functions : name => each if contains(each.calls, "transcoder") }

  project = var.project_id
  role    = google_project_iam_custom_role.transcodes.id
  member  = google_service_account.function[each.key].member
}

# Cloud Run jobs: to run one with arguments and to stop its executions; and to look at them. No job can be changed or
# deleted by it.
resource "google_cloud_run_v2_job_iam_member" "runs" {
  for_each = { for pair in setproduct(
    [for name, each in local.functions : name if contains(each.calls, "jobs")], keys(google_cloud_run_v2_job.stitch),
    ["roles/run.jobsExecutorWithOverrides", "roles/run.viewer"]
  ) : join("/", pair) => { function = pair[0], job = pair[1], role = pair[2] } }

  name     = google_cloud_run_v2_job.stitch[each.value.job].name
  location = google_cloud_run_v2_job.stitch[each.value.job].location
  role     = each.value.role
  member   = google_service_account.function[each.value.function].member
}

# Who may call: Pub/Sub's pushes the functions of topics, and everybody the callables, which look at ID tokens themselves.
resource "google_cloud_run_v2_service_iam_member" "push" {
  for_each = toset(values(local.function_of_topic))

  name     = google_cloudfunctions2_function.function[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.push.member
}

resource "google_cloud_run_v2_service_iam_member" "callable" {
  for_each = local.callables

  name     = google_cloudfunctions2_function.function[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}

# Google's own agents. deploy.sh sees to it that they exist.

# Pub/Sub signs in as the account that pushes, forwards what was delivered too often, and takes it from its subscription.
resource "google_service_account_iam_member" "push_token" {
  service_account_id = google_service_account.push.name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = "serviceAccount:${local.agent_of_project.pubsub}"
}

resource "google_pubsub_topic_iam_member" "forwarder" {
  topic  = google_pubsub_topic.topic[local.dead_letters].id
  role   = "roles/pubsub.publisher"
  member = "serviceAccount:${local.agent_of_project.pubsub}"
}

resource "google_pubsub_subscription_iam_member" "forwarder" {
  for_each = local.function_of_topic

  subscription = google_pubsub_subscription.push[each.key].id
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:${local.agent_of_project.pubsub}"
}

# Cloud Storage tells of objects that were written.
data "google_storage_project_service_account" "main" {
  project = var.project_id
}

resource "google_pubsub_topic_iam_member" "storage_publishes" {
  topic  = google_pubsub_topic.topic["object_finalized"].id
  role   = "roles/pubsub.publisher"
  member = "serviceAccount:${data.google_storage_project_service_account.main.email_address}"
}

# The Transcoder API reads clips, writes films and tells of its end.
resource "google_storage_bucket_iam_member" "transcoder" {
  count = var.transcoder ? 1 : 0

  bucket = google_storage_bucket.media.name
  role   = "roles/storage.objectUser"
  member = "serviceAccount:${local.agent_of_project.transcoder}"
}

resource "google_pubsub_topic_iam_member" "transcoder" {
  count = var.transcoder ? 1 : 0

  topic  = google_pubsub_topic.topic["transcoder_reports"].id
  role   = "roles/pubsub.publisher"
  member = "serviceAccount:${local.agent_of_project.transcoder}"
}

# Veo and Omni read pictures to start from, and write clips.
resource "google_storage_bucket_iam_member" "vertex" {
  bucket = google_storage_bucket.media.name
  role   = "roles/storage.objectUser"
  member = "serviceAccount:${local.agent_of_project.vertex}"
}

# Builds write logs and images, and read sources: ours, and Cloud Functions' own copy of them.
resource "google_project_iam_member" "build" {
  for_each = toset(["roles/artifactregistry.writer", "roles/logging.logWriter"])

  project = var.project_id
  role    = each.key
  member  = google_service_account.build.member
}

resource "google_project_iam_member" "build_reads" {
  project = var.project_id
  role    = "roles/storage.objectViewer"
  member  = google_service_account.build.member

  condition {
    title = "${local.prefix}-sources"
    expression = join(" || ", [for bucket in [google_storage_bucket.source.name, "gcf-v2-sources-"] :
      "resource.name.startsWith(\"projects/_/buckets/${bucket}\")"
    ])
  }
}
