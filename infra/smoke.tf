# As whom deploy.sh signs the smoke film's user in, by a custom token. It has no role; deploy.sh lets whoever deploys sign
# as it.

resource "google_service_account" "smoke" {
  account_id   = "${local.account_prefix}-smoke"
  display_name = "Longreel ${var.environment}: signs the smoke film's user in"

  depends_on = [google_project_service.api]
}

output "smoke_account" {
  description = "Service account that signs the smoke film's user in."
  value       = google_service_account.smoke.email
}
