# The documents of jobs. What queries need of indexes stands once, in firestore.indexes.json, which the Firebase CLI reads
# as well; tests/cloud/test_firestore_indexes.py holds it to the queries.

variable "firestore_database" {
  description = "Firestore database of the jobs; null for one of this environment's own, and in `production` for `(default)`, the only one that storage.rules can look into. One that is there already has to be imported."
  type        = string
  default     = null

  validation {
    condition     = var.firestore_database == null || var.firestore_database == "(default)" || can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", var.firestore_database))
    error_message = "firestore_database should be null, (default), or 4 to 63 lower-case letters, digits and hyphens, with a letter first and no hyphen last."
  }
}

locals {
  default_database = "(default)"
  database         = coalesce(var.firestore_database, var.environment == "production" ? local.default_database : local.prefix)

  indexes = jsondecode(file("${path.module}/firestore.indexes.json"))

  # The file names the collection by its usual name.
  usual_jobs_collection = "videoJobs"
  collection_of         = { (local.usual_jobs_collection) = var.jobs_collection }
}

resource "google_firestore_database" "main" {
  name        = local.database
  location_id = var.region
  type        = "FIRESTORE_NATIVE"

  # A transaction locks what it reads: two functions that decide about one job wait for each other, instead of deciding
  # anew after every collision.
  concurrency_mode = "PESSIMISTIC"

  # Any minute of the last seven days can be read again, or cloned.
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"

  # Jobs say what was paid for. Both locks have to be opened before Terraform deletes them.
  delete_protection_state = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy         = var.deletion_protection ? "ABANDON" : "DELETE"

  depends_on = [google_project_service.api]
}

resource "google_firestore_index" "composite" {
  for_each = {
    for index in local.indexes.indexes :
    join(" ", [index.collectionGroup, join(",", [for field in index.fields : "${field.fieldPath}:${field.order}"])]) => index
  }

  database    = google_firestore_database.main.name
  collection  = lookup(local.collection_of, each.value.collectionGroup, each.value.collectionGroup)
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path = fields.value.fieldPath
      order      = fields.value.order
    }
  }
}

# A field that nobody asks by has no index of its own: each would cost a write more. An empty `index_config` says that.
resource "google_firestore_field" "override" {
  for_each = { for field in local.indexes.fieldOverrides : "${field.collectionGroup}.${field.fieldPath}" => field }

  database   = google_firestore_database.main.name
  collection = lookup(local.collection_of, each.value.collectionGroup, each.value.collectionGroup)
  field      = each.value.fieldPath

  index_config {
    dynamic "indexes" {
      for_each = each.value.indexes
      content {
        order       = indexes.value.order
        query_scope = indexes.value.queryScope
      }
    }
  }

  # A document goes by itself some time after what stands in this field.
  dynamic "ttl_config" {
    for_each = try(each.value.ttl, false) ? [true] : []
    content {}
  }
}
