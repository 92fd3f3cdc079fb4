# What Terraform does not do: sign-in, Firebase, and one small film to see that all of it works. Sourced by deploy.sh.
# shellcheck shell=bash

SMOKE_KEY=longreel-smoke

step_firebase() {
    terraform_ready
    doing "make the project and its bucket known to Firebase, with Authentication"
    local token bucket
    token="$(gcloud auth print-access-token)"
    bucket="$(tf output -raw bucket)"
    LONGREEL_ACCESS_TOKEN="$token" "$PYTHON" infra/deploy/firebase.py --project "$PROJECT" --bucket "$bucket"
}

# Give the browser key of the smoke film's sign-in; it may do that and nothing else.
api_key() {
    local name said
    name="$(find_key)" || return
    if [[ -z "$name" ]]; then
        # On stderr it prints the key as well, which belongs into no log; what is said of a failure has none.
        if ! said="$(gcloud services api-keys create "--display-name=$SMOKE_KEY" \
            --api-target=service=identitytoolkit.googleapis.com 2>&1)"; then
            say "$said"
            return 1
        fi
        name="$(find_key)" || return
    fi
    gcloud services api-keys get-key-string "$name" --format='value(keyString)'
}

find_key() { gcloud services api-keys list "--filter=displayName=$SMOKE_KEY" --limit=1 --format='value(name)'; }

# Let whoever deploys sign tokens as the smoke film's account, and give an ID token of its user.
smoke_user() {
    local deployer kind=user account token key
    account="$(tf output -raw smoke_account)" || return
    deployer="$(gcloud auth list --filter=status:ACTIVE --format='value(account)')" || return
    [[ "$deployer" != *.gserviceaccount.com ]] || kind=serviceAccount
    gcloud iam service-accounts add-iam-policy-binding "$account" "--member=$kind:$deployer" \
        --role=roles/iam.serviceAccountTokenCreator >/dev/null || return
    token="$(gcloud auth print-access-token)" || return
    key="$(api_key)" || return
    LONGREEL_ACCESS_TOKEN="$token" LONGREEL_API_KEY="$key" \
        "$PYTHON" infra/smoke/sign_in.py --project "$PROJECT" --account "$account"
}

callable() {
    "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1" <<<"$2"
}

step_smoke() {
    if [[ "$SMOKE" == off ]]; then
        say "  Left out, as SMOKE=off says."
        return
    fi
    terraform_ready
    local checked model price
    doing "look whether App Check is on"
    checked="$(value_of var.app_check)"
    [[ "$checked" != true ]] ||
        fail "App Check is on, so that only your own app may call; see a film made by it, and deploy with SMOKE=off."
    if [[ "$SMOKE" == veo ]]; then
        doing "find what a clip of Veo costs"
        model="$(value_of var.veo_model)"
        price="$("$PYTHON" infra/smoke/film.py --kind veo --price "$model")"
        ask "The smoke film by Veo costs \$$price; order it?"
    fi
    smoke_film
}

smoke_film() {
    local token callables film database create upload size
    doing "sign the smoke film's user in"
    token="$(smoke_user)"
    callables="$(tf output -json callables)"
    database="$(tf output -raw firestore_database)"
    create="$(callable createJob "$callables")"
    upload="$(callable createUploadUrl "$callables")"
    doing "have a small film made, as an app would"
    film="$(LONGREEL_ID_TOKEN="$token" "$PYTHON" infra/smoke/film.py --kind "$SMOKE" --create-job "$create" \
        --create-upload-url "$upload" \
        --documents "https://firestore.googleapis.com/v1/projects/$PROJECT/databases/$database/documents")"
    doing "look at the film $film"
    size="$(gcloud storage objects describe "$film" --format='value(size)')"
    say ""
    say "The smoke film, $size bytes:"
    printf '%s\n' "$film"
}

# Last of all, so that it stays on the screen; FROM=app says it again.
step_app() {
    terraform_ready
    doing "say what an app needs to know"
    local told
    told="$(tf output -json)"
    "$PYTHON" infra/deploy/app.py "$PROJECT" <<<"$told" >&2
}
