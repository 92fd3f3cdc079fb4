"""What must hold of buckets, documents, rules, jobs and images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from typing import Any

from adapters.cloud_run import LARGER_MEMORY_GIB
from adapters.cloud_run_estimate import CPU_MACHINE, GPU_MACHINE
from adapters.firestore_failures import FailureLedger
from adapters.gcs_upload_urls import UploadUrls
from events.errors import InvalidRequest
from events.names import CHECKPOINTS, output_name
from gpu_job.cloud_task import read_task
from tests.infra.product import ROOT
from tests.infra.terraform import Made
from tests.infra.world import PRODUCTION, STAGING, World, functions_of, role_grants

INDEXES = json.loads((ROOT / "infra" / "firestore.indexes.json").read_text(encoding="utf-8"))


def nothing_in_a_bucket_is_public(world: World) -> Iterator[str]:
    for each in world.production.all("google_storage_bucket"):
        if not each.values["uniform_bucket_level_access"]:
            yield f"objects of {each.values['name']} may have lists of readers of their own"
        if each.values["public_access_prevention"] != "enforced":
            yield f"{each.values['name']} may be made public"


def deleted_objects_are_not_paid_for(world: World) -> Iterator[str]:
    for each in world.production.all("google_storage_bucket"):
        if each.values["soft_delete_policy"] != [
            {**each.values["soft_delete_policy"][0], "retention_duration_seconds": 0}
        ]:
            yield f"what is deleted in {each.values['name']} is kept"


def films_are_deleted_by_nobody_but_who_asks_for_it(world: World) -> Iterator[str]:
    if world.production.one("google_storage_bucket", "media")["force_destroy"]:
        yield "Terraform deletes the bucket with the films"
    aged = {prefix for _, prefixes in _deletions(world.production) for prefix in prefixes or [""]}
    yield from (f"films go by age: {prefix!r}" for prefix in aged if film().startswith(prefix))
    if (timedelta(days=STAGING["films_kept_days"]), ["jobs/"]) not in _deletions(world.staging):
        yield "films_kept_days deletes no film"


def checkpoints_go_after_a_week(world: World) -> Iterator[str]:
    for made in world.both:
        if (timedelta(days=7), [f"{CHECKPOINTS}/"]) not in _deletions(made):
            yield "checkpoints of failed jobs stay"


def browsers_may_send_what_an_upload_url_demands(world: World) -> Iterator[str]:
    allowed = {str(name).lower() for each in _cors(world, "PUT") for name in each["response_header"]}
    yield from (f"a browser may not send {name}" for name in signed_headers() if name.lower() not in allowed)


def browsers_may_read_what_the_rules_let_them(world: World) -> Iterator[str]:
    """Firebase's SDK gets a film's bytes (`getBlob`) only for pages that the bucket's CORS setting names.

    Source: the comment of `getBlob` in @firebase/storage: "you have to whitelist your app's origin in your Cloud
    Storage bucket".
    """
    for method in ("GET", "HEAD"):
        if not _cors(world, method):
            yield f"no page may {method} a film"
    told = {str(name).lower() for each in _cors(world, "GET") for name in each["response_header"] or []}
    yield from (f"a player is not told {name}" for name in ("content-length", "content-range") if name not in told)


def browsers_may_do_nothing_else(world: World) -> Iterator[str]:
    for each in world.production.one("google_storage_bucket", "media")["cors"]:
        yield from (f"a browser may {method}" for method in {*each["method"]} - {"PUT", "GET", "HEAD"})
    for each in world.staging.one("google_storage_bucket", "media")["cors"]:
        if each["origin"] != STAGING["cors_origins"]:
            yield f"pages of {each['origin']} may {each['method']}"


def every_clip_and_film_is_announced(world: World) -> Iterator[str]:
    for made in world.both:
        [told] = made.all("google_storage_notification")
        if told.values["bucket"] != made.one("google_storage_bucket", "media")["name"]:
            yield "another bucket is watched"
        if not film().startswith(told.values["object_name_prefix"]) or told.values["event_types"] != [
            "OBJECT_FINALIZE"
        ]:
            yield "nobody is told of films"
        if f"{CHECKPOINTS}/".startswith(told.values["object_name_prefix"]):
            yield "every checkpoint is an event"
        if told.values["payload_format"] != "JSON_API_V1":
            yield "the message does not say what was written"
        if not str(told.values["topic"]).endswith("-object_finalized"):
            yield f"{told.values['topic']} is told"


def every_index_of_the_file_is_made_and_no_other(world: World) -> Iterator[str]:
    for made, variables in zip(world.both, (PRODUCTION, STAGING), strict=True):
        wanted, there = _wanted_indexes(variables), {_index(each.values) for each in made.all("google_firestore_index")}
        yield from (f"no index {each}" for each in wanted - there)
        yield from (f"an index {each} that the file does not have" for each in there - wanted)


def every_field_is_indexed_as_the_file_says(world: World) -> Iterator[str]:
    for made, variables in zip(world.both, (PRODUCTION, STAGING), strict=True):
        there = {_field(each.values) for each in made.all("google_firestore_field")}
        wanted = {_wanted_field(each, variables) for each in INDEXES["fieldOverrides"]}
        yield from (f"{each} is not there" for each in wanted - there)
        yield from (f"{each} is not in the file" for each in there - wanted)


def counts_of_failures_go_by_themselves(world: World) -> Iterator[str]:
    collection = FailureLedger.__init__.__defaults__[-1]  # type: ignore[misc]
    aging = {
        (each.values["collection"], each.values["field"])
        for each in world.production.all("google_firestore_field")
        if each.values["ttl_config"]
    }
    if aging != {(collection, "expireAt")}:
        yield f"what goes by itself is {aging}"


def jobs_can_be_read_as_they_were_and_are_not_deleted(world: World) -> Iterator[str]:
    database = world.production.one("google_firestore_database", "main")
    if database["point_in_time_recovery_enablement"] != "POINT_IN_TIME_RECOVERY_ENABLED":
        yield "what a mistake destroys is lost"
    if database["delete_protection_state"] != "DELETE_PROTECTION_ENABLED" or database["deletion_policy"] != "ABANDON":
        yield "Terraform deletes the jobs"
    if (
        world.staging.one("google_firestore_database", "main")["delete_protection_state"]
        != "DELETE_PROTECTION_DISABLED"
    ):
        yield "deletion_protection = false protects nevertheless"


def rules_are_released_for_what_is_there(world: World) -> Iterator[str]:
    for made in world.both:
        database = made.one("google_firestore_database", "main")["name"]
        released = {
            each.values["name"]: each.values["ruleset_name"] for each in made.all("google_firebaserules_release")
        }
        wanted = {
            "cloud.firestore" if database == "(default)" else f"cloud.firestore/{database}",
            f"firebase.storage/{made.one('google_storage_bucket', 'media')['name']}",
        }
        if released.keys() != wanted:
            yield f"rules are released for {sorted(released)}, not for {sorted(wanted)}"


def rules_are_those_of_the_files(world: World) -> Iterator[str]:
    for kind in ("firestore", "storage"):
        if _rules(world.production, kind) != (ROOT / "infra" / f"{kind}.rules").read_text(encoding="utf-8"):
            yield f"other rules than {kind}.rules are released"


def rules_know_another_collection_and_another_database(world: World) -> Iterator[str]:
    collection = STAGING["jobs_collection"]
    if f"match /{collection}/{{jobId}}" not in _rules(world.staging, "firestore"):
        yield "firestore.rules has another collection than the functions"
    storage = _rules(world.staging, "storage")
    if "firestore.get(" in storage:
        yield "storage.rules asks a database of which it can know nothing"
    if "&& false;" not in storage:
        yield "storage.rules lets anybody have the films"


def storage_rules_may_ask_whose_a_job_is(world: World) -> Iterator[str]:
    role = "roles/firebaserules.firestoreServiceAgent"
    [asks, *_] = [*(member for _, granted, member in role_grants(world.production) if granted == role), ""]
    if "@gcp-sa-firebasestorage." not in asks:
        yield "the rules of Cloud Storage cannot read a job, so nobody can get a film"


def jobs_are_the_machines_that_prices_are_reckoned_with(world: World) -> Iterator[str]:
    jobs = world.production.by_key("google_cloud_run_v2_job", "stitch")
    for key, machine, memory_gib in (
        ("cpu", CPU_MACHINE, CPU_MACHINE.memory_gib),
        ("gpu", GPU_MACHINE, GPU_MACHINE.memory_gib),
        ("cpu-large", CPU_MACHINE, LARGER_MEMORY_GIB),
        ("gpu-large", GPU_MACHINE, LARGER_MEMORY_GIB),
    ):
        wanted = {"cpu": str(machine.vcpus), "memory": f"{memory_gib}Gi"} | (
            {"nvidia.com/gpu": "1"} if machine.gpu else {}
        )
        task = _task(jobs[key])
        if (limits := task["containers"][0]["resources"][0]["limits"]) != wanted:
            yield f"{key} has {limits}, and is reckoned with as {wanted}"
        if [each["accelerator"] for each in task["node_selector"]] != (["nvidia-l4"] if machine.gpu else []):
            yield f"{key} has {task['node_selector']}"
        if machine.gpu and not task["gpu_zonal_redundancy_disabled"]:
            yield f"{key} pays for cards in several zones"


def a_card_is_had_whether_google_calls_it_a_preview_or_not(world: World) -> Iterator[str]:
    """A preview's fields are refused to who does not ask for them; of what is none, Cloud Run calls the job `GA`.

    Source: the comment of `launch_stage` in google-cloud-run, and the provider's own example of a job with a card.
    """
    for key, job in world.production.by_key("google_cloud_run_v2_job", "stitch").items():
        if (job["launch_stage"] == "BETA") != key.startswith("gpu"):
            yield f"{key} is made as {job['launch_stage']}"
    if "ignore_changes = [launch_stage]" not in (world.copy.folder / "run_jobs.tf").read_text(encoding="utf-8"):
        yield "every deployment changes what Cloud Run calls a job with a card"


def tasks_are_begun_again_and_end(world: World) -> Iterator[str]:
    for key, job in world.production.by_key("google_cloud_run_v2_job", "stitch").items():
        task = _task(job)
        if task["max_retries"] < 1:
            yield f"a task of {key} that dies ends the execution"
        if not 0 < int(str(task["timeout"]).removesuffix("s")) <= GPU_MACHINE.task_seconds_max:
            yield f"a task of {key} may take {task['timeout']}"
        if job["template"][0]["parallelism"] != 0:
            yield f"tasks of {key} wait for each other"


def every_job_can_read_what_it_is_told(world: World) -> Iterator[str]:
    for key, job in world.production.by_key("google_cloud_run_v2_job", "stitch").items():
        told = {each["name"]: each["value"] for each in _task(job)["containers"][0]["env"]}
        try:
            if read_task(told).project != PRODUCTION["project_id"]:
                yield f"{key} works for another project"
        except InvalidRequest as exc:
            yield f"{key} does not start: {exc}"


def without_an_image_there_is_no_job(world: World) -> Iterator[str]:
    if world.staging.all("google_cloud_run_v2_job"):
        yield "a job without an image"
    for name, function in functions_of(world.staging).items():
        told = function["service_config"][0]["environment_variables"]
        yield from (f"{name} is told {key}" for key in told if key.endswith(("_GPU_JOB", "_CPU_JOB")))


def old_images_go_and_new_ones_stay(world: World) -> Iterator[str]:
    registry = world.production.one("google_artifact_registry_repository", "images")
    actions = sorted(each["action"] for each in registry["cleanup_policies"])
    if actions != ["DELETE", "KEEP"] or registry["cleanup_policy_dry_run"]:
        yield f"images are kept for ever, or none is: {actions}"


def images_can_be_pushed_again(world: World) -> Iterator[str]:
    """A build that pushed one of its two images is made again: other bytes, by the same tag."""
    registry = world.production.one("google_artifact_registry_repository", "images")
    if any(each["immutable_tags"] for each in registry["docker_config"] or []):
        yield "a tag that was pushed once refuses to be pushed again, so a build that broke off can never be finished"


def film() -> str:
    """Give the name of a film."""
    return output_name("job_abcdef", 1)


@cache
def signed_headers() -> frozenset[str]:
    """Give the headers that an upload URL demands, by signing one."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from google.auth.credentials import AnonymousCredentials
    from google.auth.crypt import RSASigner
    from google.cloud.storage import Client
    from google.oauth2.service_account import Credentials

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signer = Credentials(RSASigner(key), "nobody@longreel.invalid", "https://oauth2.googleapis.com/token")
    client = Client(project="demo", credentials=AnonymousCredentials())
    uploads = UploadUrls(lambda: client, "bucket", lambda: signer)
    return frozenset(uploads.sign("users/u/clip.mp4", "video/mp4", 1, timedelta(minutes=1)).headers)


def _cors(world: World, method: str) -> list[Mapping[str, Any]]:
    """Give the CORS rules of the bucket that are about a method."""
    rules = world.production.one("google_storage_bucket", "media")["cors"]
    return [each for each in rules if method in each["method"]]


def _deletions(made: Made) -> list[tuple[timedelta, list[str]]]:
    """Give what the bucket deletes: how old, and what it begins with."""
    rules = made.one("google_storage_bucket", "media")["lifecycle_rule"]
    conditions = [rule["condition"][0] for rule in rules if rule["action"][0]["type"] == "Delete"]
    return [(timedelta(days=each["age"]), each["matches_prefix"] or []) for each in conditions]


def _task(job: Mapping[str, Any]) -> Mapping[str, Any]:
    [task] = job["template"][0]["template"]
    return dict(task)


def _collection(name: str, variables: Mapping[str, Any]) -> str:
    return str(variables.get("jobs_collection", name)) if name == "videoJobs" else name


def _wanted_indexes(variables: Mapping[str, Any]) -> set[tuple[str, ...]]:
    return {
        (
            _collection(each["collectionGroup"], variables),
            each["queryScope"],
            *(f"{field['fieldPath']} {field['order']}" for field in each["fields"]),
        )
        for each in INDEXES["indexes"]
    }


def _index(values: Mapping[str, Any]) -> tuple[str, ...]:
    fields = (f"{field['field_path']} {field['order']}" for field in values["fields"])
    return values["collection"], values["query_scope"], *fields


def _wanted_field(each: Mapping[str, Any], variables: Mapping[str, Any]) -> tuple[object, ...]:
    own = frozenset((index["order"], index["queryScope"]) for index in each["indexes"])
    return _collection(each["collectionGroup"], variables), each["fieldPath"], own, bool(each.get("ttl"))


def _field(values: Mapping[str, Any]) -> tuple[object, ...]:
    own = frozenset((index["order"], index["query_scope"]) for index in values["index_config"][0]["indexes"])
    return values["collection"], values["field"], own, bool(values["ttl_config"])


def _rules(made: Made, kind: str) -> str:
    [ruleset] = made.all("google_firebaserules_ruleset", kind)
    return str(ruleset.values["source"][0]["files"][0]["content"])
