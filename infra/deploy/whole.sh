# The whole: planned, shown with what it costs while nobody uses it, and made. Sourced by deploy.sh.
# shellcheck shell=bash

step_plan() {
    terraform_ready
    local cpu gpu="" status=0
    doing "find the images by digest"
    cpu="$(built_image cpu)"
    [[ -n "$cpu" ]] || fail "The images of $IMAGES_TAG are not built yet; go on with FROM=images."
    if card_wanted; then
        gpu="$(built_image gpu)"
    fi
    write_variables "$cpu" "$gpu"
    rm -f "$WORK/whole.plan"
    doing "plan the whole"
    tf plan -input=false -detailed-exitcode "${VARIABLES[@]}" "-out=$WORK/whole.plan" >&2 || status=$?
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

step_apply() {
    if [[ ! -f "$WORK/whole.plan" ]]; then
        [[ -f "$WORK/planned" ]] || fail "There is no plan to carry out; go on with FROM=plan."
        return
    fi
    terraform_ready
    doing "make everything: functions, topics, jobs, rules, indexes, alerts (an index takes some minutes)"
    # A plan is good once: after a failure the next one begins with what is there by then.
    mv "$WORK/whole.plan" "$WORK/applied.plan"
    rm -f "$WORK/planned"
    tf apply -input=false "$WORK/applied.plan" >&2 || fail "Not everything was made; go on with FROM=plan."
}
