# What has to be there before the whole can be planned: the state's bucket, a place for images and sources.
# Sourced by deploy.sh.
# shellcheck shell=bash

# What images and functions are built with. It costs nothing while it is empty.
GROUND=(
    -target=google_artifact_registry_repository.images
    -target=google_storage_bucket.source
    -target=google_project_iam_member.build
    -target=google_project_iam_member.build_reads
)

step_state() {
    doing "look for the bucket of Terraform's state, gs://$STATE_BUCKET"
    if ! gcloud storage buckets describe "gs://$STATE_BUCKET" >/dev/null 2>&1; then
        doing "make the bucket gs://$STATE_BUCKET"
        gcloud storage buckets create "gs://$STATE_BUCKET" "--location=$REGION" --uniform-bucket-level-access \
            --public-access-prevention
    fi
    # The last states can be had again, whatever happens to the newest. Said each time: it changes nothing twice.
    doing "keep the last states in gs://$STATE_BUCKET"
    gcloud storage buckets update "gs://$STATE_BUCKET" --versioning
}

step_ground() {
    terraform_ready
    local status=0
    doing "plan what images and sources are kept in"
    tf plan -input=false -detailed-exitcode "${VARIABLES[@]}" "${GROUND[@]}" "-out=$WORK/ground.plan" >&2 || status=$?
    case $status in
    0) return ;;
    2) ;;
    *) fail "Terraform could not plan; it says why above." ;;
    esac
    doing "see that nothing is lost"
    tf show -json "$WORK/ground.plan" >"$WORK/ground.json"
    "$PYTHON" infra/deploy/plan_guard.py "$WORK/ground.json"
    ask "Make that? It is empty and costs nothing."
    doing "make what images and sources are kept in"
    tf apply -input=false "$WORK/ground.plan" >&2
}
