# The whole: planned, shown with what it costs while nobody uses it, and made. Sourced by deploy.sh.
# shellcheck shell=bash

# Films and jobs outlive `make destroy`, and a database may have been there before: they are taken in, not made again.
# As blocks of the configuration, so that the plan shows what would change of them, and so that nothing is done before it.
adopt_what_is_there() {
    local bucket database
    bucket="$(value_of "\"\${local.bucket_prefix}-media\"")"
    database="$(value_of local.database)"
    doing "look whether films or jobs are there already"
    read_state
    rm -f "$ADOPTED"
    if ! in_state google_storage_bucket.media && gcloud storage buckets describe "gs://$bucket" >/dev/null 2>&1; then
        say "  The bucket gs://$bucket is there already and is taken in."
        printf 'import {\n  to = google_storage_bucket.media\n  id = "%s"\n}\n' "$PROJECT/$bucket" >>"$ADOPTED"
    fi
    if ! in_state google_firestore_database.main &&
        gcloud firestore databases describe "--database=$database" >/dev/null 2>&1; then
        say "  The Firestore database $database is there already and is taken in; see in the plan what would change of it."
        printf 'import {\n  to = google_firestore_database.main\n  id = "%s"\n}\n' \
            "projects/$PROJECT/databases/$database" >>"$ADOPTED"
    fi
    adopt_releases "$bucket" "$database"
}

# Rules that are released already, by an app of the team's own or by Google with the database. Terraform cannot make a
# release that is there; it takes it in, and puts ours in its place.
adopt_releases() {
    local firestore=cloud.firestore storage="firebase.storage/$1" token there
    if in_state 'google_firebaserules_release.firestore[0]' && in_state google_firebaserules_release.storage; then
        return
    fi
    [[ "$2" == "(default)" ]] || firestore+="/$2"
    doing "look whether rules are released already"
    token="$(gcloud auth print-access-token)"
    there="$(LONGREEL_ACCESS_TOKEN="$token" "$PYTHON" infra/deploy/releases.py --project "$PROJECT" "$firestore" "$storage")"
    if [[ "$(value_of var.release_firestore_rules)" == true ]]; then
        adopt_release 'google_firebaserules_release.firestore[0]' "$firestore" "$there"
    fi
    adopt_release google_firebaserules_release.storage "$storage" "$there"
}

adopt_release() {
    if ! in_state "$1" && grep -Fxq -- "$2" <<<"$3"; then
        say "  The rules that are released as $2 make room for those of infra/."
        printf 'import {\n  to = %s\n  id = "%s"\n}\n' "$1" "projects/$PROJECT/releases/$2" >>"$ADOPTED"
    fi
}

step_plan() {
    terraform_ready
    local cpu gpu="" status=0 sources
    doing "find the functions' sources"
    sources="$(place_of_sources)"
    is_object "$sources" || fail "The functions' sources of now are not uploaded yet; go on with FROM=source."
    doing "find the images by digest"
    cpu="$(built_image cpu)"
    [[ -n "$cpu" ]] || fail "The images of $IMAGES_TAG are not built yet; go on with FROM=images."
    if card_wanted; then
        gpu="$(built_image gpu)"
    fi
    write_variables "$cpu" "$gpu"
    rm -f "$WORK/whole.plan"
    adopt_what_is_there
    doing "plan the whole"
    tf plan -input=false -detailed-exitcode "${VARIABLES[@]}" "-out=$WORK/whole.plan" >&2 || status=$?
    rm -f "$ADOPTED"
    case $status in
    0 | 2) ;;
    *) fail "Terraform could not plan; it says why above." ;;
    esac
    tf show -json "$WORK/whole.plan" >"$WORK/whole.json"
    doing "see that the plan deletes no films and no jobs"
    "$PYTHON" infra/deploy/plan_guard.py "$WORK/whole.json"
    doing "reckon what it costs while nobody uses it"
    "$PYTHON" infra/deploy/idle_cost.py "$WORK/whole.json" >&2
    if [[ $status == 0 ]]; then
        say "  Nothing is to be changed."
        rm -f "$WORK/whole.plan"
    else
        ask "Make it so?"
    fi
    touch "$WORK/planned"
}

# A log's bucket that was deleted keeps its name for a week; Terraform can take it in again, but not call it back.
recall_log() {
    local name="longreel-$ENVIRONMENT-lines" state
    doing "look for a bucket of logs that was deleted within the last week"
    state="$(gcloud logging buckets describe "$name" "--location=$REGION" --format='value(lifecycleState)' 2>/dev/null)" ||
        return 0
    if [[ "$state" == DELETE_REQUESTED ]]; then
        doing "call the bucket of logs $name back"
        gcloud logging buckets undelete "$name" "--location=$REGION"
    fi
}

not_all_made() {
    say ""
    say "  Not everything was made; Terraform says above what and why. What was made stays made."
    say "  - \"… do not belong to a permitted customer\": your organization lets nobody from outside in, and an app's users are"
    say "    outside. Whoever looks after its policies can make an exception of this project, which the callables need:"
    say "    gcloud org-policies reset iam.allowedPolicyMemberDomains --project=$PROJECT"
    say "  - an account or a right is said not to be there that was made just now: wait some minutes."
    fail "Then go on with FROM=plan."
}

step_apply() {
    if [[ ! -f "$WORK/whole.plan" ]]; then
        [[ -f "$WORK/planned" ]] || fail "There is no plan to carry out; go on with FROM=plan."
        return
    fi
    terraform_ready
    recall_log
    doing "make everything: functions, topics, jobs, rules, indexes, alerts (an index takes some minutes)"
    # A plan is good once: after a failure the next one begins with what is there by then.
    mv "$WORK/whole.plan" "$WORK/applied.plan"
    rm -f "$WORK/planned"
    tf apply -input=false "$WORK/applied.plan" >&2 || not_all_made
}
