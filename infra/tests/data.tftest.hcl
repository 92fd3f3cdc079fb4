# The bucket, the documents, the rules, the jobs and the images. What is Python's as well (indexes, machines, variables) is
# held against it by tests/infra.

mock_provider "google" {}

variables {
  project_id    = "my-films-4711"
  source_object = "functions-0000000000000000000000000000000000000000000000000000000000000000.zip"
  image_cpu     = "us-east4-docker.pkg.dev/my-films-4711/images/stitch-cpu@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  image_gpu     = "us-east4-docker.pkg.dev/my-films-4711/images/stitch-gpu@sha256:0000000000000000000000000000000000000000000000000000000000000000"
}

run "what_is_kept_and_what_goes" {
  command = plan

  assert {
    condition     = google_storage_bucket.media.uniform_bucket_level_access && google_storage_bucket.media.public_access_prevention == "enforced"
    error_message = "Nothing in the bucket should be public, whatever an object's own list says."
  }

  assert {
    condition     = google_storage_bucket.media.soft_delete_policy[0].retention_duration_seconds == 0
    error_message = "What is deleted should be gone: checkpoints are deleted all the time."
  }

  assert {
    condition     = !google_storage_bucket.media.force_destroy
    error_message = "Terraform should delete no film."
  }

  assert {
    condition = [
      for rule in google_storage_bucket.media.lifecycle_rule :
      "${join(",", one(rule.condition).matches_prefix)} after ${one(rule.condition).age} days" if one(rule.action).type == "Delete"
    ] == ["checkpoints/ after 7 days"]
    error_message = "Checkpoints should go after a week, and films never."
  }

  assert {
    condition     = google_storage_notification.object_finalized.object_name_prefix == "jobs/" && google_storage_notification.object_finalized.event_types == toset(["OBJECT_FINALIZE"])
    error_message = "Clips and films should be announced, and checkpoints should not."
  }

  assert {
    condition     = length(google_firestore_index.composite) == length(local.indexes.indexes) && length(google_firestore_field.override) == length(local.indexes.fieldOverrides)
    error_message = "Every index of firestore.indexes.json should be made."
  }

  assert {
    condition     = [for key, each in google_firestore_field.override : key if length(each.ttl_config) > 0] == ["failures.expireAt"]
    error_message = "Counts of failures should go by themselves, and nothing else."
  }

  assert {
    condition     = google_firestore_database.main.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED" && google_firestore_database.main.delete_protection_state == "DELETE_PROTECTION_ENABLED"
    error_message = "Jobs should be readable as they were, and protected from being deleted."
  }

  assert {
    condition     = length(google_project_iam_member.storage_rules_ask) == 1 && google_project_iam_member.storage_rules_ask[0].role == "roles/firebaserules.firestoreServiceAgent"
    error_message = "The rules of Cloud Storage should be able to ask whose a job is."
  }

  assert {
    condition     = sort([for each in google_artifact_registry_repository.images.cleanup_policies : each.action]) == tolist(["DELETE", "KEEP"])
    error_message = "Old images should go, and new ones stay."
  }
}

run "who_makes_films" {
  command = plan

  assert {
    condition     = alltrue([for each in google_cloud_run_v2_job.stitch : each.template[0].template[0].max_retries >= 1])
    error_message = "A task that dies should be begun again, and not end the film."
  }

  assert {
    condition     = alltrue([for each in google_cloud_run_v2_job.stitch : tonumber(trimsuffix(each.template[0].template[0].timeout, "s")) <= 3600])
    error_message = "Cloud Run lets no task with a card run for longer than an hour."
  }

  assert {
    condition = alltrue([for key, each in google_cloud_run_v2_job.stitch :
      join(",", each.template[0].template[0].node_selector[*].accelerator) == (startswith(key, "gpu") ? "nvidia-l4" : "")
    ])
    error_message = "A job should have an L4, or no card at all."
  }

  assert {
    condition     = alltrue([for each in google_cloud_run_v2_job.stitch : each.location == var.region && each.template[0].parallelism == 0])
    error_message = "All jobs should be where the functions look for them, and run a film's tasks all at once."
  }
}

run "another_database_has_rules_of_its_own" {
  command = plan

  variables {
    environment     = "staging"
    jobs_collection = "reels"
    films_kept_days = 30
  }

  assert {
    condition     = google_firestore_database.main.name == "longreel-staging" && google_firebaserules_release.firestore[0].name == "cloud.firestore/longreel-staging"
    error_message = "Rules should be released for the environment's own database."
  }

  assert {
    condition     = strcontains(google_firebaserules_ruleset.firestore[0].source[0].files[0].content, "match /reels/{jobId}")
    error_message = "Rules should be for the collection that the functions write."
  }

  assert {
    condition     = length(google_project_iam_member.storage_rules_ask) == 0 && !strcontains(google_firebaserules_ruleset.storage.source[0].files[0].content, "firestore.get")
    error_message = "Rules of Cloud Storage can look into the database (default) alone; elsewhere they should let nobody have a film."
  }

  assert {
    condition     = contains([for rule in google_storage_bucket.media.lifecycle_rule : one(rule.condition).age], 30)
    error_message = "films_kept_days should delete films."
  }
}

run "rules_may_be_somebody_elses" {
  command = plan

  variables {
    release_firestore_rules = false
  }

  assert {
    condition     = length(google_firebaserules_release.firestore) == 0 && length(google_firebaserules_ruleset.firestore) == 0
    error_message = "Where an app has rules of its own, ours should not take their place."
  }
}

run "no_database_is_called_that" {
  command = plan

  variables {
    firestore_database = "My database"
  }

  expect_failures = [var.firestore_database]
}
