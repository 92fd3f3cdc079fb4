# What browsers and phones may read. Rules hold for a whole database and a whole bucket: where an app of yours has rules of
# its own for the database, take those of firestore.rules over into them, and let release_firestore_rules be false.

variable "release_firestore_rules" {
  description = "Whether firestore.rules is released for the database; it takes the place of any rules that the database has."
  type        = bool
  default     = true
  nullable    = false
}

locals {
  firestore_rules = replace(file("${path.module}/firestore.rules"), local.usual_jobs_collection, var.jobs_collection)

  # Storage rules can ask the database `(default)` whose a job is, and no other; elsewhere films are no business of theirs.
  owner_asked   = "firestore.get(/databases/(default)/documents/${local.usual_jobs_collection}/$(jobId)).data.userId == request.auth.uid"
  owner_allowed = local.database == local.default_database ? replace(local.owner_asked, local.usual_jobs_collection, var.jobs_collection) : "false"
  storage_rules = replace(file("${path.module}/storage.rules"), local.owner_asked, local.owner_allowed)

  # A release is named by what it is for.
  firestore_release = local.database == local.default_database ? "cloud.firestore" : "cloud.firestore/${local.database}"
}

resource "google_firebaserules_ruleset" "firestore" {
  count = var.release_firestore_rules ? 1 : 0

  source {
    files {
      name    = "firestore.rules"
      content = local.firestore_rules
    }
  }

  # Released rules cannot be deleted, so the next ones come first. Then one release takes the place of the other, and for
  # that moment apps may read nothing.
  lifecycle {
    create_before_destroy = true
  }

  depends_on = [google_firestore_database.main]
}

resource "google_firebaserules_release" "firestore" {
  count = var.release_firestore_rules ? 1 : 0

  name         = local.firestore_release
  ruleset_name = "projects/${var.project_id}/rulesets/${google_firebaserules_ruleset.firestore[0].name}"
}

resource "google_firebaserules_ruleset" "storage" {
  source {
    files {
      name    = "storage.rules"
      content = local.storage_rules
    }
  }

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = strcontains(file("${path.module}/storage.rules"), local.owner_asked)
      error_message = "storage.rules asks whose a job is in other words than rules.tf knows (`owner_asked`): for another database or collection it could not be changed."
    }
  }

  depends_on = [google_project_service.api]
}

# For apps that read through the Firebase SDK; `deploy.sh` makes the bucket known to Firebase.
resource "google_firebaserules_release" "storage" {
  name         = "firebase.storage/${google_storage_bucket.media.name}"
  ruleset_name = "projects/${var.project_id}/rulesets/${google_firebaserules_ruleset.storage.name}"
}

# Storage rules read the job of an object in Firestore, which Cloud Storage for Firebase does as its own agent.
resource "google_project_iam_member" "storage_rules_ask" {
  count = local.database == local.default_database ? 1 : 0

  project = var.project_id
  role    = "roles/firebaserules.firestoreServiceAgent"
  member  = "serviceAccount:${local.agent_of_project.firebase}"

  depends_on = [google_project_service.api]
}
