# What a person or a script needs to know of a deployment.

output "callables" {
  description = "Address of each Firebase callable, by the name that an app knows it by; for `httpsCallableFromURL`."
  value = { for name in local.callables :
    join("", [for index, word in split("_", name) : index == 0 ? word : title(word)]) =>
    google_cloudfunctions2_function.function[name].service_config[0].uri
  }
}

output "bucket" {
  description = "Bucket that clips and films are in."
  value       = google_storage_bucket.media.name
}

output "source_bucket" {
  description = "Bucket that the zipped sources of the functions are in."
  value       = google_storage_bucket.source.name
}

output "firestore_database" {
  description = "Firestore database that the jobs are in."
  value       = google_firestore_database.main.name
}

output "jobs_collection" {
  description = "Firestore collection of jobs, where an app listens."
  value       = var.jobs_collection
}

output "topic_prefix" {
  description = "What the name of every topic and subscription begins with."
  value       = local.topic_prefix
}

output "dead_letters" {
  description = "Subscription that dead letters are read from; `longreel dead-letters list` does it."
  value       = google_pubsub_subscription.dead_letters.name
}

output "build_account" {
  description = "Service account that images are built as."
  value       = google_service_account.build.email
}
