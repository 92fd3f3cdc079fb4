# What can be told. deploy.sh asks for the first; everything else has a default that costs nothing while nobody uses it.

variable "project_id" {
  description = "Id of the Google Cloud project that everything is made in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id should be a project's id, such as my-films-4711 (6 to 30 lower-case letters, digits and hyphens), not its name or its number."
  }
}

variable "environment" {
  description = "Word that every name begins with, so that several live side by side in one project, such as staging and production."
  type        = string
  default     = "production"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,14}$", var.environment)) && !endswith(var.environment, "-")
    error_message = "environment should be 2 to 15 lower-case letters, digits and hyphens, with a letter first and no hyphen last, such as staging."
  }

  validation {
    # Topics may not begin with `goog`, and buckets may not have `google` in their names.
    condition     = !strcontains(var.environment, "goog")
    error_message = "environment should not have goog in it: Google keeps such names of topics and buckets to itself."
  }
}

variable "region" {
  description = "Where the functions, the jobs, the bucket and the database are. The default is one where the Transcoder API and Cloud Run's L4 are both open to everybody."
  type        = string
  default     = "us-east4"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region should be the id of one region, such as us-east4 or europe-west4."
  }
}

variable "gpu_region" {
  description = "Where the Cloud Run job with an L4 is; null for `region`. The functions look for all jobs in one region, so it can be no other as long as image_gpu is given."
  type        = string
  default     = null

  validation {
    condition     = var.image_gpu == "" || coalesce(var.gpu_region, var.region) == var.region
    error_message = "gpu_region should be the same as region, or null: the functions look for every job in LONGREEL_REGION."
  }

  validation {
    # Source: Cloud Run's page "GPU support for jobs", 2026; the other regions of L4 are by invitation.
    condition = var.image_gpu == "" || contains(
      ["asia-southeast1", "europe-west1", "europe-west4", "us-east4"], coalesce(var.gpu_region, var.region)
    )
    error_message = "Cloud Run's L4 is open in asia-southeast1, europe-west1, europe-west4 and us-east4: set region to one of these, or leave image_gpu empty and let films be made without a card."
  }
}

variable "vertex_location" {
  description = "Where Veo runs; Omni is asked at `global` whatever stands here."
  type        = string
  default     = "us-central1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.vertex_location))
    error_message = "vertex_location should be the id of one region, such as us-central1."
  }
}

variable "veo_model" {
  description = "Veo model of requests that name none."
  type        = string
  default     = "veo-3.1-fast-generate-001"
  nullable    = false

  validation {
    condition     = startswith(var.veo_model, "veo-")
    error_message = "veo_model should be the id of a Veo model, such as veo-3.1-fast-generate-001."
  }
}

variable "omni_model" {
  description = "Omni model of requests that name none."
  type        = string
  default     = "gemini-omni-1.2-flash"
  nullable    = false

  validation {
    condition     = startswith(var.omni_model, "gemini-omni-")
    error_message = "omni_model should be the id of an Omni model, such as gemini-omni-1.2-flash."
  }
}

variable "source_object" {
  description = "Name of the zipped sources of the functions in the bucket `source`; deploy.sh writes it, and names it by its hash, so that the same sources are never deployed twice."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^functions-[0-9a-f]{64}\\.zip$", var.source_object))
    error_message = "source_object should be functions-SHA256.zip, with the SHA-256 of the archive in hexadecimal digits."
  }
}

variable "image_cpu" {
  description = "Image of the Cloud Run job without a card, by digest; empty takes that job out of the routes."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.image_cpu == "" || can(regex("^[a-z0-9.-]+/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$", var.image_cpu))
    error_message = "image_cpu should be empty, or HOST/PROJECT/REPOSITORY/NAME@sha256:DIGEST: a tag may mean another image tomorrow."
  }
}

variable "image_gpu" {
  description = "Image of the Cloud Run job with an L4, by digest; empty takes that job out of the routes."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.image_gpu == "" || can(regex("^[a-z0-9.-]+/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$", var.image_gpu))
    error_message = "image_gpu should be empty, or HOST/PROJECT/REPOSITORY/NAME@sha256:DIGEST: a tag may mean another image tomorrow."
  }
}

variable "gpu_tasks_max" {
  description = "Tasks with an L4 that one film may be shared out to; no more than the project's quota of cards."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.gpu_tasks_max >= 1 && var.gpu_tasks_max <= 50 && floor(var.gpu_tasks_max) == var.gpu_tasks_max
    error_message = "gpu_tasks_max should be a whole number from 1 to 50."
  }
}

variable "transcoder" {
  description = "Whether films may be made by the Transcoder API."
  type        = bool
  default     = true
  nullable    = false

  validation {
    # Source: the Transcoder API's page "Locations", 2026.
    condition = !var.transcoder || contains([
      "asia-east1", "asia-northeast1", "asia-northeast3", "asia-south1", "asia-southeast1", "australia-southeast1",
      "europe-west1", "europe-west2", "europe-west4", "me-central1", "me-central2", "me-west1", "northamerica-northeast1",
      "southamerica-east1", "us-central1", "us-east1", "us-east4", "us-west1", "us-west2",
    ], var.region)
    error_message = "The Transcoder API is not in this region: set region to one of its own, such as us-east4 or europe-west1, or let films be made without it by transcoder = false."
  }
}

variable "instances_max" {
  description = "Instances that no function may exceed, each of one processor. Cloud Run refuses a function that could exceed the region's quota `CPU allocation`, which is 10 to 20 processors in a new project; raise this when that is raised."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.instances_max >= 2 && var.instances_max <= 1000 && floor(var.instances_max) == var.instances_max
    error_message = "instances_max should be a whole number from 2 to 1000, and no more than the processors of the quota `CPU allocation` of Cloud Run in the region."
  }
}

variable "jobs_collection" {
  description = "Firestore collection of jobs. The rules name it as well: infra/firestore.rules and infra/storage.rules."
  type        = string
  default     = "videoJobs"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9_-]{0,99}$", var.jobs_collection))
    error_message = "jobs_collection should be one word of letters, digits, _ and -, with a letter first, such as videoJobs."
  }
}

variable "active_jobs_max" {
  description = "Active jobs that one user may have."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.active_jobs_max >= 1 && var.active_jobs_max <= 1000 && floor(var.active_jobs_max) == var.active_jobs_max
    error_message = "active_jobs_max should be a whole number from 1 to 1000."
  }
}

variable "delivery_attempts_max" {
  description = "Failed deliveries of a message before a function makes it a dead letter with its reason. Pub/Sub's own policy, which knows no reason, comes later."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.delivery_attempts_max >= 1 && var.delivery_attempts_max <= 15 && floor(var.delivery_attempts_max) == var.delivery_attempts_max
    error_message = "delivery_attempts_max should be a whole number from 1 to 15: Pub/Sub itself gives a message up after 20 deliveries, and those that came before their time count there too."
  }
}

variable "app_check" {
  description = "Whether the callables refuse whoever has no valid App Check token."
  type        = bool
  default     = false
  nullable    = false
}

variable "cors_origins" {
  description = "Web pages that may upload by a signed URL and read films by the Firebase SDK or a signed URL, as origins, such as https://films.example.com; * for all: a page alone can do neither."
  type        = list(string)
  default     = ["*"]
  nullable    = false

  validation {
    condition     = alltrue([for origin in var.cors_origins : origin == "*" || can(regex("^https?://[A-Za-z0-9.-]+(:[0-9]+)?$", origin))])
    error_message = "cors_origins should hold origins such as https://films.example.com, without a path, or *."
  }
}

variable "films_kept_days" {
  description = "Days after which everything that a job made is deleted, its film too; null keeps all for ever."
  type        = number
  default     = null

  validation {
    condition     = var.films_kept_days == null || try(var.films_kept_days >= 1 && floor(var.films_kept_days) == var.films_kept_days, false)
    error_message = "films_kept_days should be null, or a whole number of at least 1."
  }
}

variable "alert_emails" {
  description = "Whom the alerts write to; without anybody they show in the console alone."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for email in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "alert_emails should hold addresses such as films@example.com."
  }
}

variable "daily_limit_usd" {
  description = "US dollars that all paid work of a UTC day may cost, by the jobs' own accounts; nothing new is begun above it, and somebody is told. 0 allows none; null sets no limit."
  type        = number
  default     = null

  validation {
    condition     = var.daily_limit_usd == null || try(var.daily_limit_usd >= 0 && var.daily_limit_usd < 10000000, false)
    error_message = "daily_limit_usd should be null, or dollars from 0 to 9999999.99; cents are rounded."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete what holds films and jobs. `make destroy` turns it off for what it may delete."
  type        = bool
  default     = true
  nullable    = false
}
