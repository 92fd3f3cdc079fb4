# Terraform over infra/, with its state in a bucket of the project. Sourced by deploy.sh and destroy.sh.
# shellcheck shell=bash

TERRAFORM_IS_READY=""
# Beside the other files only while the whole is planned.
ADOPTED=infra/adopted.tf
trap 'at_the_end $?; rm -f "$ADOPTED"' EXIT
# A team's own settings of an environment; those that this program decides come after it and win.
VARIABLES=()
[[ ! -f "infra/environments/$ENVIRONMENT.tfvars" ]] || VARIABLES+=("-var-file=environments/$ENVIRONMENT.tfvars")
VARIABLES+=("-var-file=$WORK/given.tfvars.json")

# Run terraform as whoever gcloud is; a token lives an hour, so each run gets its own.
tf() {
    local token
    token="$(gcloud auth print-access-token)" || return
    GOOGLE_OAUTH_ACCESS_TOKEN="$token" TF_DATA_DIR="$WORK/terraform" TF_IN_AUTOMATION=1 \
        terraform -chdir=infra "$@"
}

# Before the first use in a run, whichever step it begins with: the archives, the variables, the state.
terraform_ready() {
    [[ -z "$TERRAFORM_IS_READY" ]] || return 0
    doing "pack the sources"
    local packed
    packed="$("$PYTHON" infra/deploy/source.py "$WORK")"
    FUNCTIONS_ZIP="${packed%$'\n'*}"
    IMAGES_ZIP="${packed#*$'\n'}"
    IMAGES_TAG="$(basename "$IMAGES_ZIP" .zip)"
    write_variables "" ""
    doing "open Terraform's state in gs://$STATE_BUCKET/$ENVIRONMENT"
    tf init -input=false -reconfigure "-backend-config=bucket=$STATE_BUCKET" "-backend-config=prefix=$ENVIRONMENT" >&2
    TERRAFORM_IS_READY=1
}

# Everything in it was checked against a pattern, or is a hash: nothing has to be escaped.
write_variables() {
    local image_cpu="$1" image_gpu="$2"
    cat >"$WORK/given.tfvars.json" <<JSON
{
  "project_id": "$PROJECT",
  "region": "$REGION",
  "environment": "$ENVIRONMENT",
  "source_object": "$(basename "$FUNCTIONS_ZIP")",
  "image_cpu": "$image_cpu",
  "image_gpu": "$image_gpu"
}
JSON
}

# Give what an expression of the configuration is. Of resources only outputs tell: a console does not ask the state.
value_of() {
    local said
    said="$(tf console "${VARIABLES[@]}" <<<"$1")" || return
    printf '%s\n' "${said//\"/}"
}

# Read once what the state has; then ask. (Within a condition bash would take a failure for a no.)
read_state() { STATE="$(tf state list)"; }

in_state() { grep -Fxq -- "$1" <<<"$STATE"; }
