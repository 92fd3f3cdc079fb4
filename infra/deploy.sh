#!/usr/bin/env bash
# Deploys Longreel into a project of Google Cloud, or brings a deployment up to date; does nothing twice.
#
#   make deploy PROJECT=my-films-4711 REGION=us-east4
#
# ENVIRONMENT=production   several live side by side in one project; infra/environments/NAME.tfvars holds a team's settings
# GPU=auto                 on, off, or a job with a card where the project's quota has one
# SMOKE=clips              a film of two given clips for $0.0001; veo for a paid one, which says its price first; off
# YES=1                    asks nothing
# FROM=STEP                goes on with a step; a failure names it
#
# docs/deploying.md says what each step does. stdout gets one line: the smoke film's path.
set -euo pipefail
cd "$(dirname "$0")/.."
GOAL=deploy
source infra/deploy/steps.sh
source infra/deploy/settings.sh
source infra/deploy/terraform.sh
source infra/deploy/checks.sh
source infra/deploy/ground.sh
source infra/deploy/artifacts.sh
source infra/deploy/whole.sh
source infra/deploy/live.sh

run_steps tools login project apis agents quotas state ground source images plan apply firebase smoke app
say ""
say "Deployed: https://console.cloud.google.com/run?project=$PROJECT"
