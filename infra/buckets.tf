# Where clips, films and what belongs to them lie. The zipped sources of the functions have a bucket of their own
# (functions.tf).

resource "google_storage_bucket" "media" {
  name     = "${local.bucket_prefix}-media"
  location = var.region

  # Who may read what is said by roles and by storage.rules, never by an object's own list; and nothing is ever public.
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  # Terraform never deletes a bucket that holds something: films were paid for.
  force_destroy = false

  # What is deleted is gone at once. Checkpoints and parts of films are rewritten and deleted all the time, and each
  # would be kept, and paid for, for another week.
  soft_delete_policy {
    retention_duration_seconds = 0
  }

  # A browser uploads by a signed URL, and asks first whether it may send what adapters/gcs_upload_urls.py signs.
  cors {
    origin          = var.cors_origins
    method          = ["PUT"]
    response_header = ["Content-Type", "x-goog-content-length-range", "x-goog-if-generation-match"]
    max_age_seconds = 3600
  }

  # And reads what storage.rules or a signed URL let it: Firebase's SDK has a browser ask, too, before it gives a page a
  # film's bytes (`getBlob`), and a player that seeks asks for ranges.
  cors {
    origin          = var.cors_origins
    method          = ["GET", "HEAD"]
    response_header = ["Content-Type", "Content-Length", "Content-Range", "Accept-Ranges", "Range", "ETag"]
    max_age_seconds = 3600
  }

  # What of a film is encoded already, left behind by a failed job (docs/decisions/0018).
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = 7
      matches_prefix = ["checkpoints/"]
    }
  }

  # Parts of uploads that nobody finished lie there unseen, and are paid for.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }

  dynamic "lifecycle_rule" {
    for_each = var.films_kept_days[*]
    content {
      action {
        type = "Delete"
      }
      condition {
        age            = lifecycle_rule.value
        matches_prefix = ["jobs/"]
      }
    }
  }

  depends_on = [google_project_service.api]
}

# Tells the functions of every clip and film that lands. What lies elsewhere, such as checkpoints, is no event; uploads of
# users are looked at when a job names them.
resource "google_storage_notification" "object_finalized" {
  bucket             = google_storage_bucket.media.name
  topic              = google_pubsub_topic.topic["object_finalized"].id
  payload_format     = "JSON_API_V1"
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = "jobs/"

  # Cloud Storage tries whether it may publish as soon as this is made.
  depends_on = [google_pubsub_topic_iam_member.storage_publishes]
}
