# Taking a deployment down, films and jobs apart. Sourced by destroy.sh.
# shellcheck shell=bash

PROTECTION=()
[[ "$DELETE_FILMS" != 1 ]] || PROTECTION=(-var=deletion_protection=false)

step_films() {
    terraform_ready
    local bucket
    bucket="$(value_of "\"\${local.bucket_prefix}-media\"")"
    doing "look what Terraform has made"
    read_state
    if [[ "$DELETE_FILMS" != 1 ]]; then
        keep_films "$bucket"
        return
    fi
    ask "Delete all clips and films in gs://$bucket and all jobs, for good?"
    doing "delete everything in gs://$bucket"
    if gcloud storage ls "gs://$bucket/**" >/dev/null 2>&1; then
        gcloud storage rm --recursive "gs://$bucket/**"
    fi
    if in_state google_firestore_database.main; then
        doing "take the protection from the database"
        tf apply -input=false -auto-approve "${VARIABLES[@]}" "${PROTECTION[@]}" \
            -target=google_firestore_database.main >&2
    fi
}

# What Terraform does not know of, it cannot delete. The database is protected and let go of by firestore.tf itself, but
# a team's own settings may say otherwise.
keep_films() {
    local each
    for each in google_storage_bucket.media google_firestore_database.main; do
        doing "keep $each${1:+ (gs://$1 and the jobs stay)}"
        if in_state "$each"; then
            tf state rm "$each" >&2
        fi
    done
}

step_everything() {
    terraform_ready
    doing "see that the films are out of reach"
    read_state
    [[ "$DELETE_FILMS" == 1 ]] || ! in_state google_storage_bucket.media ||
        fail "The bucket of films is still Terraform's; go on with FROM=films, or give DELETE_FILMS=1."
    doing "plan the end"
    tf plan -destroy -input=false "${VARIABLES[@]}" ${PROTECTION[@]+"${PROTECTION[@]}"} "-out=$WORK/end.plan" >&2
    ask "Take all of that down?"
    doing "take everything down"
    tf apply -input=false "$WORK/end.plan" >&2
}

step_key() {
    local name
    doing "look for the smoke film's API key"
    name="$(gcloud services api-keys list --filter=displayName=longreel-smoke --limit=1 --format='value(name)')"
    if [[ -n "$name" ]]; then
        doing "delete the smoke film's API key; a later smoke film makes another"
        gcloud services api-keys delete "$name"
    fi
}
