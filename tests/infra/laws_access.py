"""What must hold of who may do what, of names, and of the files themselves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from tests.infra import product
from tests.infra.terraform import Made
from tests.infra.world import PRODUCTION, World, functions_of, role_grants

#: Roles that hold more than any one task needs.
_TOO_WIDE = re.compile(r"\*|^roles/(owner|editor|viewer|browser)$|[aA]dmin$|^roles/firebase\.")
_EVERYBODY = {"allUsers", "allAuthenticatedUsers"}
#: What there is once in a project, whatever is deployed in it.
_OF_THE_PROJECT = {"google_project_service"}
#: What a resource is called by; the first that it has.
_NAMES = ("account_id", "role_id", "repository_id", "dataset_id", "display_name", "name")


def no_role_is_wider_than_a_task(world: World) -> Iterator[str]:
    for made in world.both:
        for address, role, _member in role_grants(made):
            if _TOO_WIDE.search(role):
                yield f"{address} grants {role}"
        for each in made.all("google_project_iam_custom_role"):
            yield from (f"{each.address} permits {name}" for name in each.values["permissions"] if "*" in name)


def everybody_may_call_the_callables_and_nothing_else(world: World) -> Iterator[str]:
    wanted = {name for name, topic in product.entry_points().items() if topic is None}
    named = {function["name"]: entry for entry, function in functions_of(world.production).items()}
    open_to_all = set()
    for each in world.production:
        member = each.values.get("member")
        if member not in _EVERYBODY:
            continue
        if each.type != "google_cloud_run_v2_service_iam_member" or each.values["role"] != "roles/run.invoker":
            yield f"{each.address} grants {each.values.get('role')} to {member}"
        else:
            open_to_all.add(named.get(each.values["name"], each.values["name"]))
    yield from (f"apps cannot call {name}" for name in wanted - open_to_all)
    yield from (f"everybody may call {name}" for name in open_to_all - wanted)


def every_function_is_its_own_account(world: World) -> Iterator[str]:
    for made in world.both:
        accounts = {
            name: each["service_config"][0]["service_account_email"] for name, each in functions_of(made).items()
        }
        taken = Counter(accounts.values())
        yield from (f"{name} shares its account" for name, account in accounts.items() if taken[account] > 1)
        known = {each.values["email"] for each in made.all("google_service_account")}
        yield from (f"{name} runs as {account}" for name, account in accounts.items() if account not in known)
        tasks = {
            each.values["template"][0]["template"][0]["service_account"] for each in made.all("google_cloud_run_v2_job")
        }
        yield from (f"a job runs as {account}, a function's account" for account in tasks & set(accounts.values()))
        yield from (f"a job runs as {account}" for account in tasks - known)


def every_account_has_a_name_that_google_takes(world: World) -> Iterator[str]:
    for made in world.both:
        for each in made.all("google_service_account"):
            if not re.fullmatch(r"[a-z]([-a-z0-9]{4,28}[a-z0-9])", each.values["account_id"]):
                yield f"{each.values['account_id']} is no account's id"
    longest = "a" * 15
    ids = world.copy.value("[for each in local.functions : each.account]", PRODUCTION)
    if too_long := [name for name in ids if len(f"lr-{longest}-{name}") > 30]:
        yield f"with the longest environment these accounts' ids are too long: {too_long}"


def two_environments_share_nothing(world: World) -> Iterator[str]:
    shared = set(_identities(world.production)) & set(_identities(world.staging))
    yield from (f"{kind} {name} would be both production's and staging's" for kind, name in sorted(shared))


def nothing_changes_by_itself(world: World) -> Iterator[str]:
    """A second deployment of the same would not be the same."""
    for path in sorted(world.copy.folder.glob("*.tf")):
        found = re.findall(r"\b(timestamp|plantimestamp|uuid|bcrypt)\(", path.read_text(encoding="utf-8"))
        yield from (f"{path.name} asks for {name}()" for name in found)


def every_variable_says_what_it_is(world: World) -> Iterator[str]:
    """And refuses what cannot be, where its type alone does not."""
    for path in sorted(world.copy.folder.glob("*.tf")):
        for name, body in re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', path.read_text(encoding="utf-8"), re.M | re.S):
            if not re.search(r'^  description\s+= ".{20,}"$', body, re.M):
                yield f"variable {name} does not say what it is"
            if not (kind := re.search(r"^  type\s+= (.+)$", body, re.M)):
                yield f"variable {name} has no type"
            elif kind[1] != "bool" and "  validation {" not in body:
                yield f"variable {name} takes anything"


def every_api_that_is_used_is_turned_on(world: World) -> Iterator[str]:
    on = {each.values["service"] for each in world.production.all("google_project_service")}
    for kind in {each.type for each in world.production}:
        api = next((api for prefix, api in _APIS.items() if kind.startswith(f"google_{prefix}")), None)
        if api is None:
            yield f"nobody knows which API makes a {kind}"
        elif f"{api}.googleapis.com" not in on:
            yield f"{kind} needs {api}.googleapis.com"


#: What a type of resource begins with → the API that makes it; the longer before the shorter.
_APIS = {
    "artifact_registry": "artifactregistry",
    "bigquery_data_transfer": "bigquerydatatransfer",
    "bigquery": "bigquery",
    "cloud_run": "run",
    "cloud_scheduler": "cloudscheduler",
    "cloudfunctions2": "cloudfunctions",
    "firebaserules": "firebaserules",
    "firestore": "firestore",
    "logging": "logging",
    "monitoring": "monitoring",
    "project_iam_custom_role": "iam",
    "project_iam": "cloudresourcemanager",
    "project_service": "serviceusage",
    "pubsub": "pubsub",
    "service_account": "iam",
    "storage": "storage",
}


def _identities(made: Made) -> Iterator[tuple[str, str]]:
    """Give what each resource is to Google; grants are told apart by whom they are for."""
    for each in made:
        if each.type in _OF_THE_PROJECT:
            continue
        if each.type.endswith("_iam_member"):
            # What is granted on a resource of an environment is that environment's, whoever it is granted to.
            place = each.values.get("name") or each.values.get("bucket") or each.values.get("topic")
            place = place or each.values.get("subscription") or each.values.get("service_account_id") or ""
            yield each.type, f"{place} {each.values['role']} {each.values['member']}"
            continue
        if each.type in {"google_firestore_index", "google_firestore_field", "google_storage_notification"}:
            continue  # Parts of a database and of a bucket, which are told apart.
        name = next((each.values[key] for key in _NAMES if isinstance(each.values.get(key), str)), None)
        if name is not None and " of " not in name:
            yield each.type, name
