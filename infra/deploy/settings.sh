# What can be told, read once and checked before anything is asked of anybody. Sourced by deploy.sh and destroy.sh.
# shellcheck shell=bash

: "${ENVIRONMENT:=production}" "${GPU:=auto}" "${SMOKE:=clips}" "${YES:=}" "${DELETE_FILMS:=}"
if [[ -z "${PYTHON:-}" ]]; then
    PYTHON=python3
    [[ ! -x .venv/bin/python ]] || PYTHON=.venv/bin/python
fi

check_settings() {
    [[ "${PROJECT:-}" =~ ^[a-z][a-z0-9-]{4,28}[a-z0-9]$ ]] ||
        fail "PROJECT should be the id of a Google Cloud project, such as my-films-4711: $AGAIN_WITH"
    [[ "${REGION:-}" =~ ^[a-z]+-[a-z]+[0-9]+$ ]] ||
        fail "REGION should be the id of a region, such as us-east4, where Cloud Run's L4 is open: $AGAIN_WITH"
    [[ "$ENVIRONMENT" =~ ^[a-z][a-z0-9-]{0,13}[a-z0-9]$ ]] ||
        fail "ENVIRONMENT should be 2 to 15 lower-case letters, digits and hyphens, such as staging"
    [[ "$GPU" =~ ^(auto|on|off)$ ]] || fail "GPU should be auto (a card where the quota has one), on or off, not $GPU"
    [[ "$SMOKE" =~ ^(clips|veo|off)$ ]] || fail "SMOKE should be clips, veo (which is paid for) or off, not $SMOKE"
}

AGAIN_WITH="make $GOAL PROJECT=… REGION=…"
check_settings

# The command to go on with: what was given, without what was only of the moment.
AGAIN="make $GOAL PROJECT=$PROJECT REGION=$REGION"
[[ "$ENVIRONMENT" == production ]] || AGAIN+=" ENVIRONMENT=$ENVIRONMENT"
[[ "$GPU" == auto ]] || AGAIN+=" GPU=$GPU"
[[ "$SMOKE" == clips ]] || AGAIN+=" SMOKE=$SMOKE"
[[ -z "$DELETE_FILMS" ]] || AGAIN+=" DELETE_FILMS=$DELETE_FILMS"

STATE_BUCKET="$PROJECT-longreel-state"
# Archives, plans and Terraform's own files; nothing in it is needed again.
WORK="$PWD/infra/.deploy/$PROJECT-$ENVIRONMENT"
umask 077
mkdir -p "$WORK"

export CLOUDSDK_CORE_PROJECT="$PROJECT" CLOUDSDK_CORE_DISABLE_PROMPTS=1
