# Looks before anything is made: programs, login, project, APIs, quotas. Sourced by deploy.sh and destroy.sh.
# shellcheck shell=bash

# What this program itself asks for; every other API is turned on by Terraform (apis.tf).
APIS=(
    apikeys.googleapis.com artifactregistry.googleapis.com cloudbuild.googleapis.com cloudquotas.googleapis.com
    cloudresourcemanager.googleapis.com firebase.googleapis.com firebasestorage.googleapis.com iam.googleapis.com
    iamcredentials.googleapis.com identitytoolkit.googleapis.com serviceusage.googleapis.com storage.googleapis.com
    run.googleapis.com transcoder.googleapis.com aiplatform.googleapis.com pubsub.googleapis.com
)

# Services that do something for us as an account of their own, which Google makes when it is first needed or asked for.
# Rights can be given only to an account that is there (access.tf, rules.tf).
AGENTS=(pubsub.googleapis.com transcoder.googleapis.com aiplatform.googleapis.com firebasestorage.googleapis.com)

step_tools() {
    doing "find gcloud"
    command -v gcloud >/dev/null || fail "There is no gcloud; install it: https://cloud.google.com/sdk/docs/install"
    doing "find terraform 1.9 or later"
    command -v terraform >/dev/null ||
        fail "There is no terraform; install 1.9 or later: https://developer.hashicorp.com/terraform/install"
    local version
    version="$(terraform version -json | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["terraform_version"])')"
    [[ "$version" =~ ^([0-9]+)\.([0-9]+) ]] || fail "terraform says no version that can be read: $version"
    ((BASH_REMATCH[1] > 1 || BASH_REMATCH[2] >= 9)) || fail "terraform is $version; install 1.9 or later"
    doing "find Python 3.11 or later"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$PYTHON is older than 3.11; name a newer one: PYTHON=python3.12"
}

step_login() {
    doing "look who is logged in"
    local account
    account="$(gcloud auth list --filter=status:ACTIVE --format='value(account)')"
    [[ -n "$account" ]] || fail "Nobody is logged in; run: gcloud auth login"
    gcloud auth print-access-token >/dev/null || fail "The login of $account has run out; run: gcloud auth login"
    say "  as $account"
}

step_project() {
    doing "look at the project $PROJECT"
    local state billing
    state="$(gcloud projects describe "$PROJECT" --format='value(lifecycleState)')" ||
        fail "There is no project $PROJECT, or you may not see it; make it with: gcloud projects create $PROJECT"
    [[ "$state" == ACTIVE ]] || fail "The project $PROJECT is $state"
    billing="$(gcloud billing projects describe "$PROJECT" --format='value(billingEnabled)')" ||
        say "  Whether somebody pays for it cannot be seen from here."
    [[ "$billing" != False ]] ||
        fail "Nobody pays for $PROJECT; run: gcloud billing projects link $PROJECT --billing-account=…"
}

step_apis() {
    doing "look which APIs are on"
    local on missing=() each
    on="$(gcloud services list --enabled --format='value(config.name)')"
    for each in "${APIS[@]}"; do
        grep -Fxq -- "$each" <<<"$on" || missing+=("$each")
    done
    if ((${#missing[@]})); then
        doing "turn on ${missing[*]} (an API costs nothing until it is used)"
        gcloud services enable "${missing[@]}"
    fi
}

step_agents() {
    local each said
    for each in "${AGENTS[@]}"; do
        doing "have Google make its account of $each, if it is not there"
        # Most services answer with the account that is there; one that refuses to make it twice is as good.
        said="$(gcloud beta services identity create "--service=$each" "--project=$PROJECT" 2>&1)" ||
            [[ "$said" =~ ALREADY_EXISTS|already\ exists ]] || fail "$said"
    done
}

# Give the line about one quota; a list that cannot be had is no reason to stop.
quota() {
    local kind="$1" service="$2" region="$3" listed
    listed="$(gcloud beta quotas info list "--service=$service" "--project=$PROJECT" --format=json)" || listed="[]"
    "$PYTHON" infra/deploy/quotas.py "$kind" "$region" <<<"$listed"
}

# Whether there is to be a job with a card: as GPU says, or where the quota has one.
card_wanted() {
    local cards="$GPU"
    [[ "$GPU" != auto ]] || cards="$(quota gpu run.googleapis.com "$REGION")"
    # The line about a quota begins with its number; -1 is no limit.
    [[ "$cards" == on || "$cards" =~ ^[1-9-] ]]
}

step_quotas() {
    doing "ask for the quotas"
    local cards
    cards="$(quota gpu run.googleapis.com "$REGION")"
    say "  $cards"
    say "  $(quota processors run.googleapis.com "$REGION")"
    say "  $(quota transcoder transcoder.googleapis.com "$REGION")"
    say "  $(quota veo aiplatform.googleapis.com us-central1)"
    if [[ "$GPU" == auto && ! "$cards" =~ ^[1-9-] ]]; then
        say "  So there will be no job with a card: films are spliced, or made by the Transcoder API or without a card."
        say "  Ask for cards at https://console.cloud.google.com/iam-admin/quotas?project=$PROJECT and deploy again,"
        say "  or insist with GPU=on."
    fi
}
