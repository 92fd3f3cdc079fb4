# Topics; one push subscription each, to its function; and the dead letters, which people read.
#
# No topic has a schema: docs/decisions/0019-infrastructure.md says why. No trigger is Eventarc's, which would make
# subscriptions of its own that have neither our retry policy nor a dead letter.

locals {
  dead_letters = "dead_letters"
  # Longer than any call of a function may take, so that none is made again while it still runs. Pub/Sub's longest.
  ack_deadline_s = 600
  # Our own count ends sooner (LONGREEL_DELIVERY_ATTEMPTS_MAX) and writes down why; this one catches what never answers.
  pubsub_attempts_max = 20
  retention_s = {
    # Pub/Sub's usual week, which no event's age may exceed, so that a function buries an old event instead of nobody.
    event = 604800
    # The next minute's does the same. Pub/Sub's shortest.
    sweep = 600
    # Pub/Sub's longest: a letter waits for people.
    dead_letter = 2678400
  }
}

resource "google_pubsub_topic" "topic" {
  for_each = toset(concat(keys(local.function_of_topic), [local.dead_letters]))

  name = "${local.topic_prefix}${each.key}"

  depends_on = [google_project_service.api]
}

resource "google_pubsub_subscription" "push" {
  for_each = local.function_of_topic

  # Named like its topic: that is how a letter that Pub/Sub itself forwards is led back (`longreel dead-letters replay`).
  name  = "${local.topic_prefix}${each.key}"
  topic = google_pubsub_topic.topic[each.key].id

  ack_deadline_seconds       = local.ack_deadline_s
  message_retention_duration = "${each.key == "sweep" ? local.retention_s.sweep : local.retention_s.event}s"

  expiration_policy {
    # Never, however quiet it is.
    ttl = ""
  }

  push_config {
    # By this path functions-framework knows the topic; every path leads to the function.
    push_endpoint = "${google_cloudfunctions2_function.function[each.value].service_config[0].uri}/${google_pubsub_topic.topic[each.key].id}"

    oidc_token {
      service_account_email = google_service_account.push.email
      audience              = google_cloudfunctions2_function.function[each.value].service_config[0].uri
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.topic[local.dead_letters].id
    max_delivery_attempts = local.pubsub_attempts_max
  }

  depends_on = [
    google_cloud_run_v2_service_iam_member.push,
    google_pubsub_topic_iam_member.forwarder,
    google_service_account_iam_member.push_token,
  ]
}

# Without a retry policy: letters that were only looked at are given back, and are to be there again at once.
resource "google_pubsub_subscription" "dead_letters" {
  name  = google_pubsub_topic.topic[local.dead_letters].name
  topic = google_pubsub_topic.topic[local.dead_letters].id

  # People look at letters no longer than this before Pub/Sub shows them to others.
  ack_deadline_seconds       = 60
  message_retention_duration = "${local.retention_s.dead_letter}s"

  expiration_policy {
    ttl = ""
  }
}
