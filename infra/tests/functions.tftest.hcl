# The functions, what wakes them, what becomes of what they cannot handle, and who may do what. No Google is asked: see
# tests/infra/, which also holds all of this against the Python that it is for. One run deploys, because
# each costs a second; what is wrong is told by its assertion.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  project_id = "my-films-4711"
  # As long as it may be, because Google counts the letters of names.
  environment = "staging-of-anna"
  # Another than would be chosen for it, so that nobody can guess it.
  firestore_database = "films-of-anna"
  source_object      = "functions-0000000000000000000000000000000000000000000000000000000000000000.zip"
  image_cpu          = "us-east4-docker.pkg.dev/my-films-4711/images/stitch-cpu@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  image_gpu          = "us-east4-docker.pkg.dev/my-films-4711/images/stitch-gpu@sha256:0000000000000000000000000000000000000000000000000000000000000000"
}

run "deployed" {
  assert {
    condition     = alltrue([for each in google_pubsub_subscription.push : length(each.retry_policy) == 1])
    error_message = "Without a retry policy Pub/Sub delivers a failed message again at once, and without end."
  }

  assert {
    condition = alltrue([for each in google_pubsub_subscription.push :
      each.retry_policy[0].minimum_backoff == "10s" && each.retry_policy[0].maximum_backoff == "600s"
    ])
    error_message = "A failed message should come again after 10 s, and never later than after 600 s."
  }

  assert {
    condition = alltrue([for each in google_pubsub_subscription.push :
      try(each.dead_letter_policy[0].dead_letter_topic, "") == google_pubsub_topic.topic["dead_letters"].id
    ])
    error_message = "What is delivered too often should go to the dead letters."
  }

  assert {
    condition = alltrue([for each in google_pubsub_subscription.push :
      each.dead_letter_policy[0].max_delivery_attempts >= var.delivery_attempts_max + 5
    ])
    error_message = "Pub/Sub should give a message up after our own count does, which writes down why; early deliveries count there too."
  }

  assert {
    condition     = toset(keys(google_pubsub_subscription_iam_member.forwarder)) == toset(keys(google_pubsub_subscription.push))
    error_message = "Pub/Sub's own account should be a subscriber of every push subscription, or it cannot forward to the dead letters."
  }

  assert {
    condition = google_pubsub_topic_iam_member.forwarder.topic == google_pubsub_topic.topic["dead_letters"].id && alltrue([
      for each in concat([google_pubsub_topic_iam_member.forwarder], values(google_pubsub_subscription_iam_member.forwarder)) :
      each.member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    ])
    error_message = "Pub/Sub's own account should publish to the dead letters, or what is delivered too often is delivered for ever."
  }

  assert {
    condition = alltrue([
      for each in concat(values(google_pubsub_subscription.push), [google_pubsub_subscription.dead_letters]) :
      each.expiration_policy[0].ttl == ""
    ])
    error_message = "No subscription should expire: a month without a film would end the next one."
  }

  assert {
    condition     = alltrue([for each in google_cloudfunctions2_function.function : length(each.event_trigger) == 0])
    error_message = "Eventarc's own subscriptions have neither our retry policy nor a dead letter; each function should be pushed to by ours."
  }

  assert {
    condition = alltrue([for topic, each in google_pubsub_subscription.push :
      tonumber(trimsuffix(each.message_retention_duration, "s")) >= local.limits.event_longest_s[topic]
    ])
    error_message = "Pub/Sub should not forget a message before the function would bury it as too old."
  }

  assert {
    condition     = google_pubsub_subscription.dead_letters.message_retention_duration == "2678400s" && length(google_pubsub_subscription.dead_letters.push_config) == 0
    error_message = "Dead letters should wait for people for as long as Pub/Sub can keep them: 31 days."
  }

  assert {
    condition = alltrue([for topic, each in google_pubsub_subscription.push :
      each.ack_deadline_seconds > google_cloudfunctions2_function.function[local.function_of_topic[topic]].service_config[0].timeout_seconds
    ])
    error_message = "A message should not be delivered again while its call may still run."
  }

  assert {
    condition     = toset(keys(local.function_of_topic)) == toset(keys(local.limits.event_longest_s))
    error_message = "Every topic of limits.py's EVENT_LONGEST should have a function, and no other."
  }

  assert {
    condition = alltrue([for topic, each in google_pubsub_subscription.push :
      startswith(each.push_config[0].push_endpoint, google_cloudfunctions2_function.function[local.function_of_topic[topic]].service_config[0].uri)
      && each.push_config[0].oidc_token[0].audience == google_cloudfunctions2_function.function[local.function_of_topic[topic]].service_config[0].uri
      && each.push_config[0].oidc_token[0].service_account_email == google_service_account.push.email
    ])
    error_message = "Every subscription should push to its topic's function, signed in as the account that may call it."
  }

  assert {
    condition = alltrue([for topic, each in google_pubsub_subscription.push :
      each.name == google_pubsub_topic.topic[topic].name && each.name == "${var.environment}-${topic}"
    ])
    error_message = "A subscription should be named like its topic, with the environment in front: replay leads a letter back by that."
  }

  assert {
    condition     = google_cloud_scheduler_job.sweep.schedule == "* * * * *" && google_cloud_scheduler_job.sweep.pubsub_target[0].topic_name == google_pubsub_topic.topic["sweep"].id
    error_message = "The sweep should come every minute."
  }

  assert {
    condition = alltrue([for each in google_cloudfunctions2_function.function :
      each.service_config[0].environment_variables.THREADS == tostring(each.service_config[0].max_instance_request_concurrency)
    ])
    error_message = "functions-framework should have a thread for every call that Cloud Run lets in."
  }

  assert {
    condition = alltrue([for each in google_cloudfunctions2_function.function :
      each.service_config[0].available_cpu == "1" && each.service_config[0].min_instance_count == 0
    ])
    error_message = "More than one call at once needs a whole processor; and nothing should wait for work, because that costs money."
  }

  assert {
    condition     = google_cloudfunctions2_function.function["on_stitch_requested"].service_config[0].max_instance_request_concurrency == 1 && google_cloudfunctions2_function.function["on_stitch_requested"].service_config[0].available_memory == "512Mi"
    error_message = "A splice of 200 clips is held to 512 MiB, alone in its instance."
  }

  assert {
    condition = alltrue([for each in local.callables :
      google_cloudfunctions2_function.function[each].service_config[0].timeout_seconds < 70
    ])
    error_message = "A callable should end before the Firebase SDK stops waiting for it, after 70 s."
  }

  assert {
    condition = alltrue([for each in google_cloudfunctions2_function.function : alltrue([
      each.service_config[0].environment_variables.GOOGLE_CLOUD_PROJECT == "my-films-4711",
      each.service_config[0].environment_variables.LONGREEL_BUCKET == google_storage_bucket.media.name,
      each.service_config[0].environment_variables.LONGREEL_TOPIC_PREFIX == "staging-of-anna-",
      each.service_config[0].environment_variables.LONGREEL_FIRESTORE_DATABASE == google_firestore_database.main.name,
      each.service_config[0].environment_variables.LONGREEL_JOBS_COLLECTION == "videoJobs",
    ])])
    error_message = "Every function should know its project, bucket, topics, database and collection."
  }

  assert {
    condition = alltrue([for name in ["create_job", "cancel_job", "on_stitch_requested", "on_sweep"] : alltrue([
      google_cloudfunctions2_function.function[name].service_config[0].environment_variables.LONGREEL_REGION == "us-east4",
      google_cloudfunctions2_function.function[name].service_config[0].environment_variables.LONGREEL_TRANSCODER == "on",
      google_cloudfunctions2_function.function[name].service_config[0].environment_variables.LONGREEL_CPU_JOB == google_cloud_run_v2_job.stitch["cpu"].name,
      google_cloudfunctions2_function.function[name].service_config[0].environment_variables.LONGREEL_GPU_JOB == google_cloud_run_v2_job.stitch["gpu"].name,
    ])])
    error_message = "Whoever starts, looks after or calls off a film should know every engine: one that it does not know runs on."
  }

  assert {
    condition = alltrue([for variable, job in { LONGREEL_LARGER_CPU_JOB = "cpu-large", LONGREEL_LARGER_GPU_JOB = "gpu-large" } :
      google_cloudfunctions2_function.function["on_stitch_requested"].service_config[0].environment_variables[variable] == google_cloud_run_v2_job.stitch[job].name
    ])
    error_message = "A film that ran out of memory should be begun on the larger machine."
  }

  assert {
    condition = alltrue([for each in google_cloudfunctions2_function.function :
      length([for name in keys(each.service_config[0].environment_variables) : name if strcontains(name, "EMULAT") || endswith(name, "_ENDPOINT")]) == 0
    ])
    error_message = "An emulator's variable opens the door in production."
  }

  assert {
    condition = alltrue([for name, each in google_cloud_run_v2_service_iam_member.callable :
      each.member == "allUsers" && each.role == "roles/run.invoker" && local.functions[name].topic == null
    ])
    error_message = "Only the callables should be open to everybody: they look at the caller's ID token themselves."
  }

  assert {
    condition = alltrue([for each in concat(
      values(google_cloud_run_v2_service_iam_member.push), values(google_cloud_run_v2_job_iam_member.runs),
      values(google_project_iam_member.documents), values(google_project_iam_member.vertex),
      values(google_project_iam_member.transcodes), values(google_project_iam_member.build),
      values(google_storage_bucket_iam_member.objects), values(google_pubsub_topic_iam_member.publisher),
      values(google_service_account_iam_member.signs_uploads),
      ) : !contains(["allUsers", "allAuthenticatedUsers"], each.member)
    ])
    error_message = "Nothing else should be open to everybody."
  }

  assert {
    condition = alltrue([for name, each in google_cloudfunctions2_function.function :
      each.service_config[0].ingress_settings == (contains(local.callables, name) ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY")
    ])
    error_message = "The functions of topics should not be reachable from outside at all."
  }

  assert {
    condition = toset(keys(google_cloud_run_v2_service_iam_member.push)) == toset(values(local.function_of_topic)) && alltrue([
      for each in google_cloud_run_v2_service_iam_member.push : each.member == google_service_account.push.member
    ])
    error_message = "Pub/Sub should be let into the function of every topic, and nobody else."
  }

  assert {
    condition = alltrue([for each in google_project_iam_member.documents :
      each.role == "roles/datastore.user"
      && each.condition[0].expression == "resource.name == \"projects/my-films-4711/databases/${google_firestore_database.main.name}\""
    ])
    error_message = "A function should reach the documents of its own environment, not those of production's database from staging."
  }

  assert {
    condition     = !contains(keys(google_project_iam_member.documents), "create_upload_url") && length([for name in keys(google_pubsub_topic_iam_member.publisher) : name if startswith(name, "create_upload_url/")]) == 0
    error_message = "Who signs uploads needs neither documents nor topics."
  }

  assert {
    condition = (
      [for name, each in google_storage_bucket_iam_member.objects : each.role if startswith(name, "create_upload_url/")] == ["roles/storage.objectCreator"]
      && strcontains(google_storage_bucket_iam_member.objects["create_upload_url/roles/storage.objectCreator"].condition[0].expression, "/objects/users/")
    )
    error_message = "An upload URL should create objects in the area of users, and neither read nor replace any."
  }

  assert {
    condition     = keys(google_service_account_iam_member.signs_uploads) == ["create_upload_url"] && google_service_account_iam_member.signs_uploads["create_upload_url"].service_account_id == google_service_account.function["create_upload_url"].name
    error_message = "Only the function that signs should speak for an account, and only for its own."
  }

  assert {
    condition = alltrue([for name in values(local.function_of_topic) :
      contains(keys(google_pubsub_topic_iam_member.publisher), "${name}/dead_letters")
    ])
    error_message = "Whoever is woken by a message should be able to bury it."
  }

  assert {
    condition = alltrue([for each in google_storage_bucket_iam_member.objects :
      each.role != "roles/storage.objectUser" || length(each.condition) == 0 || strcontains(try(each.condition[0].expression, ""), "/objects/checkpoints/")
    ])
    error_message = "A callable should delete nothing but checkpoints."
  }

  assert {
    condition     = toset([for each in google_cloud_run_v2_job_iam_member.runs : each.role]) == toset(["roles/run.jobsExecutorWithOverrides", "roles/run.viewer"]) && length(google_cloud_run_v2_job_iam_member.runs) == 32
    error_message = "Those who start, look after or call off films should be able to run each of the four jobs, and no other job of the project."
  }

  assert {
    condition = alltrue([for each in google_project_iam_custom_role.transcodes.permissions :
      startswith(each, "transcoder.jobs.") && !strcontains(each, "*")
    ])
    error_message = "Our role for the Transcoder API is for its jobs."
  }

  assert {
    condition = length(distinct([for each in local.functions : each.account])) == length(local.functions) && alltrue([
      for name, each in google_cloudfunctions2_function.function :
      each.service_config[0].service_account_email == google_service_account.function[name].email
    ])
    error_message = "Every function should run as an account of its own."
  }

  assert {
    condition = length(distinct([for each in concat(
      values(google_service_account.function), [google_service_account.stitch_job, google_service_account.push, google_service_account.build]
    ) : each.account_id])) == length(local.functions) + 3
    error_message = "No two accounts should have one id."
  }

  assert {
    condition = alltrue([for each in concat(
      values(google_service_account.function), [google_service_account.stitch_job, google_service_account.push, google_service_account.build]
    ) : length(each.account_id) <= 30])
    error_message = "The id of an account has at most 30 characters."
  }

  assert {
    condition     = alltrue([for each in google_cloudfunctions2_function.function : length(each.name) <= 49])
    error_message = "The name of a Cloud Run service has at most 49 characters."
  }

  assert {
    condition = alltrue(concat(
      [for each in google_pubsub_topic.topic : startswith(each.name, "staging-of-anna-")],
      [for each in google_cloudfunctions2_function.function : startswith(each.name, "longreel-staging-of-anna-")],
      [for each in google_service_account.function : startswith(each.account_id, "lr-staging-of-anna-")],
      [for each in [google_service_account.stitch_job, google_service_account.push, google_service_account.build] : startswith(each.account_id, "lr-staging-of-anna-")],
      [google_storage_bucket.source.name == "my-films-4711-longreel-staging-of-anna-source"],
      [google_pubsub_subscription.dead_letters.name == "staging-of-anna-dead_letters"],
      [google_cloud_scheduler_job.sweep.name == "longreel-staging-of-anna-sweep"],
      [google_project_iam_custom_role.transcodes.role_id == "longreel_staging_of_anna_transcodes"],
    ))
    error_message = "Staging and production should live beside each other in one project."
  }
}

run "without_images_the_jobs_are_no_routes" {
  command = plan

  variables {
    image_cpu  = ""
    image_gpu  = ""
    transcoder = false
  }

  assert {
    condition = alltrue([for each in google_cloudfunctions2_function.function :
      length([for name in keys(each.service_config[0].environment_variables) : name if endswith(name, "_JOB")]) == 0
    ])
    error_message = "A job that is not there should be named nowhere."
  }

  assert {
    condition = (
      google_cloudfunctions2_function.function["on_stitch_requested"].service_config[0].environment_variables.LONGREEL_TRANSCODER == "off"
      && length(google_pubsub_topic_iam_member.transcoder) == 0
    )
    error_message = "transcoder = false should take the Transcoder API out of the routes."
  }
}
