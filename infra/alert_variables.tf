# From when on somebody is told.

variable "operating_page" {
  description = "Where docs/operating.md is read by whoever gets an alert; each alert adds the section that says what to do."
  type        = string
  default     = "docs/operating.md"
  nullable    = false

  validation {
    condition     = endswith(var.operating_page, "docs/operating.md")
    error_message = "operating_page should end in docs/operating.md, such as https://example.com/longreel/docs/operating.md."
  }
}

variable "slow_job_minutes" {
  description = "An alert says when one in a hundred jobs of an hour, or the only one, took longer than this. Long films by a slow model take longer in good health."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = contains([1, 2, 3, 5, 7, 10, 15, 20, 30, 60, 120, 240, 720], var.slow_job_minutes)
    error_message = "slow_job_minutes should be a bound of the metric's buckets: 1, 2, 3, 5, 7, 10, 15, 20, 30, 60, 120, 240 or 720."
  }
}

variable "queue_depth_max" {
  description = "Messages of one topic that may wait for a function for ten minutes before an alert says so."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.queue_depth_max >= 1 && floor(var.queue_depth_max) == var.queue_depth_max
    error_message = "queue_depth_max should be a whole number of at least 1."
  }
}
