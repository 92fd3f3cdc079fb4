# Steps by name: what is done now, what to do when it fails, and where to go on. Sourced by deploy.sh and destroy.sh.
# shellcheck shell=bash

# The step that runs, and what it is doing, for the words of a failure.
STEP=""
DOING=""

say() { printf '%s\n' "$*" >&2; }

# Say what is about to be done; if it fails, this is what failed.
doing() {
    DOING="$*"
    say "  $*"
}

# End the step with a reason that the reader can act on.
fail() {
    say ""
    say "  $*"
    exit 1
}

# Ask a question that only y answers. YES=1 answers all of them; where nobody can answer, that is said.
ask() {
    local answer=""
    [[ "${YES:-}" != 1 ]] || return 0
    [[ -t 0 ]] || fail "Nobody is here to be asked \"$1\"; if the answer is yes, give YES=1."
    read -r -p "  $1 [y/N] " answer
    [[ "$answer" == [yY] ]] || fail "Nothing was changed by this step."
}

# Called when the program ends, however it ends.
at_the_end() {
    local status="$1"
    if [[ $status != 0 && -n "$STEP" ]]; then
        say ""
        say "The step '$STEP' failed while it was to: $DOING"
        say "When what is said above is mended, go on with: $AGAIN FROM=$STEP"
    fi
}

# Run all steps, or those from FROM on. Each is a function step_NAME.
run_steps() {
    local first="${FROM:-$1}" on="" name
    for name in "$@"; do
        [[ "$name" != "$first" ]] || on=1
    done
    [[ -n "$on" ]] || fail "FROM=$first is no step; there are: $*"
    on=""
    for name in "$@"; do
        [[ "$name" != "$first" ]] || on=1
        [[ -n "$on" ]] || continue
        STEP="$name"
        DOING="begin"
        say ""
        say "$name"
        "step_$name"
    done
    STEP=""
}

trap 'at_the_end $?' EXIT
