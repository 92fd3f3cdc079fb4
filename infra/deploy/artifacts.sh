# The functions' sources and the job's images, each named by its content: what is there is not made again.
# Sourced by deploy.sh.
# shellcheck shell=bash

step_source() {
    terraform_ready
    local target
    doing "find the bucket of sources (not there: FROM=ground)"
    target="$(place_of_sources)"
    doing "look for the functions' sources, $target"
    if ! is_object "$target"; then
        doing "upload the functions' sources"
        gcloud storage cp "$FUNCTIONS_ZIP" "$target"
    fi
}

place_of_sources() {
    local bucket
    bucket="$(tf output -raw source_bucket)" || return
    printf 'gs://%s/%s' "$bucket" "$(basename "$FUNCTIONS_ZIP")"
}

is_object() { gcloud storage objects describe "$1" >/dev/null 2>&1; }

image() { printf '%s-docker.pkg.dev/%s/%s/stitch-%s' "$REGION" "$PROJECT" "longreel-$ENVIRONMENT" "$1"; }

# Give an image by its digest; nothing where it is not built yet.
built_image() {
    local digest
    digest="$(gcloud artifacts docker images describe "$(image "$1"):$IMAGES_TAG" --format='value(image_summary.digest)' \
        2>/dev/null)" || return 0
    printf '%s@%s' "$(image "$1")" "$digest"
}

step_images() {
    terraform_ready
    doing "look for the images of $IMAGES_TAG"
    if [[ -n "$(built_image cpu)" && -n "$(built_image gpu)" ]]; then
        return
    fi
    local account source
    doing "find as whom images are built (not there: FROM=ground)"
    account="$(tf output -raw build_account)"
    source="$(tf output -raw source_bucket)"
    doing "have Cloud Build make the images (some ten minutes, within its free minutes of a day)"
    gcloud builds submit "$IMAGES_ZIP" --config=infra/cloudbuild.yaml "--region=$REGION" \
        "--service-account=projects/$PROJECT/serviceAccounts/$account" "--gcs-source-staging-dir=gs://$source/builds" \
        "--substitutions=_REPOSITORY=$(repository),_TAG=$IMAGES_TAG" >&2 || no_images
}

no_images() {
    say ""
    say "  The images were not built. What the build said is at"
    say "  https://console.cloud.google.com/cloud-build/builds;region=$REGION?project=$PROJECT"
    say "  If no build began, and it is said above that builds cannot run in this region because of quota restrictions:"
    say "  Google lets some projects, new ones mostly, build in a few regions only. Of those with an L4 that is europe-west1,"
    say "  so deploy with REGION=europe-west1, or have Google's support lift it: the functions are built in $REGION as well."
    exit 1
}

repository() {
    local named
    named="$(image cpu)"
    printf '%s' "${named%/*}"
}
