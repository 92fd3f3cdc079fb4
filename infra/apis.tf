# Google's APIs that must be on. None is turned off again: others in the project may need it.

locals {
  apis = {
    "aiplatform"           = "Veo and Omni"
    "artifactregistry"     = "images of the jobs and of the functions"
    "cloudbuild"           = "builds both"
    "cloudfunctions"       = "functions"
    "cloudresourcemanager" = "who may do what in the project"
    "cloudscheduler"       = "the sweep's minute"
    "firebaserules"        = "rules of Firestore and Cloud Storage"
    "firebasestorage"      = "apps read the bucket through the Firebase SDK"
    "firestore"            = "jobs"
    "iam"                  = "service accounts"
    "iamcredentials"       = "signs upload URLs, and Pub/Sub's pushes"
    "identitytoolkit"      = "who the callers of the callables are"
    "logging"              = "logs, and metrics made of them"
    "monitoring"           = "alerts and the dashboard"
    "pubsub"               = "topics"
    "run"                  = "functions and jobs run on it"
    "serviceusage"         = "turns the others on"
    "storage"              = "clips and films"
    "transcoder"           = "one of the routes to a film"
  }
}

resource "google_project_service" "api" {
  for_each = local.apis

  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}
