# What is refused before anything is planned.

mock_provider "google" {}

variables {
  project_id    = "my-films-4711"
  source_object = "functions-0000000000000000000000000000000000000000000000000000000000000000.zip"
}

run "wrong_words_are_refused" {
  command = plan

  variables {
    project_id            = "My films"
    environment           = "Staging"
    region                = "us"
    vertex_location       = "everywhere"
    veo_model             = "sora"
    omni_model            = "veo-3"
    source_object         = "functions.zip"
    image_cpu             = "stitch:latest"
    image_gpu             = "stitch:latest"
    jobs_collection       = "a/b"
    cors_origins          = ["films.example.com"]
    alert_emails          = ["nobody"]
    gpu_tasks_max         = 0
    instances_max         = 1
    active_jobs_max       = 0
    delivery_attempts_max = 20
    films_kept_days       = 0
    daily_limit_usd       = -1
  }

  expect_failures = [
    var.project_id, var.environment, var.region, var.vertex_location, var.veo_model, var.omni_model,
    var.source_object, var.image_cpu, var.image_gpu, var.jobs_collection, var.cors_origins, var.alert_emails,
    var.gpu_tasks_max, var.instances_max, var.active_jobs_max, var.delivery_attempts_max, var.films_kept_days, var.daily_limit_usd,
  ]
}

run "a_card_is_wanted_where_there_is_none" {
  command = plan

  variables {
    region     = "europe-west3"
    transcoder = false
    image_gpu  = "europe-west3-docker.pkg.dev/my-films-4711/images/stitch-gpu@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  }

  expect_failures = [var.gpu_region]
}

run "a_card_is_wanted_where_nobody_looks" {
  command = plan

  variables {
    gpu_region = "europe-west4"
    image_gpu  = "us-east4-docker.pkg.dev/my-films-4711/images/stitch-gpu@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  }

  expect_failures = [var.gpu_region]
}

run "the_transcoder_is_wanted_where_it_is_not" {
  command = plan

  variables {
    region = "europe-west3"
  }

  expect_failures = [var.transcoder]
}

run "a_name_is_wanted_that_google_keeps" {
  command = plan

  variables {
    environment = "google-test"
  }

  expect_failures = [var.environment]
}
