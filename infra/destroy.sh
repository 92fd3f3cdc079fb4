#!/usr/bin/env bash
# Takes a deployment down again. Films and jobs stay, in their bucket and their database, unless DELETE_FILMS=1 says
# otherwise; a later `make deploy` takes them in again.
#
#   make destroy PROJECT=my-films-4711 REGION=us-east4
#
# ENVIRONMENT=, YES=1 and FROM=STEP as in deploy.sh. The bucket of Terraform's state stays too.
set -euo pipefail
cd "$(dirname "$0")/.."
GOAL=destroy
source infra/deploy/steps.sh
source infra/deploy/settings.sh
source infra/deploy/terraform.sh
source infra/deploy/checks.sh
source infra/deploy/leave.sh

run_steps tools login project films everything key
say ""
say "Terraform's state stays in gs://$STATE_BUCKET; the last states can be had there again."
