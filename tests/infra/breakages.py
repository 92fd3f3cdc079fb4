"""Every assertion about infra/ can fail: changes of its text, each with what must complain of it.

    python -m tests.infra.breakages             # all: laws, and the assertions of infra/tests
    python -m tests.infra.breakages --laws      # only what is compared with Python, in a few seconds

Changes that do not get into each other's way are made in one copy, since each copy costs a run of Terraform.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from tests.infra.extract import INFRA
from tests.infra.laws import LAWS
from tests.infra.terraform import LEFT_BEHIND, TerraformFailed, deployment
from tests.infra.world import a_world


@dataclass(frozen=True, slots=True)
class Breakage:
    """One change of the text, and what it must not get past."""

    #: In infra/.
    file: str
    old: str
    new: str
    #: Names of laws.
    laws: tuple[str, ...] = ()
    #: Beginnings of the messages of assertions in infra/tests.
    tests: tuple[str, ...] = ()
    #: Those of one number are made in one copy.
    copy: int = 0


@contextmanager
def broken(breakages: Sequence[Breakage]) -> Iterator[Path]:
    """Give a copy of infra/ in which all these changes are made.

    Raises:
        ValueError: the text that is to be changed is not there, or more than once.
    """
    with tempfile.TemporaryDirectory(prefix="broken") as scratch:
        folder = Path(scratch) / "infra"
        shutil.copytree(INFRA, folder, ignore=LEFT_BEHIND)
        for each in breakages:
            text = (folder / each.file).read_text(encoding="utf-8")
            if (count := text.count(each.old)) != 1:
                raise ValueError(f"infra/{each.file} has {each.old!r} {count} times; breakages.py changes it")
            (folder / each.file).write_text(text.replace(each.old, each.new), encoding="utf-8")
        yield folder


def unnoticed_by_laws(breakages: Sequence[Breakage]) -> list[str]:
    """Make changes in one copy, and give the laws that should have complained and did not."""
    with broken(breakages) as folder, a_world(folder) as world:
        return [
            f"{law} does not notice {each.new!r} in {each.file}"
            for each in breakages
            for law in each.laws
            if not _complains(law, world)
        ]


def _complains(law: str, world: object) -> bool:
    return any(True for _ in LAWS[law](world))  # type: ignore[arg-type]


def unnoticed_by_tests(breakages: Sequence[Breakage]) -> list[str]:
    """Make changes in one copy, and give the assertions of infra/tests that should have failed and did not."""
    with (
        broken(breakages) as folder,
        tempfile.TemporaryDirectory(prefix="infra") as place,
        deployment(Path(place), folder) as copy,
    ):
        try:
            said = copy.run("test")
        except TerraformFailed as exc:
            said = str(exc)
    plain = " ".join(said.split())
    return [
        f"{message!r} does not come of {each.new!r} in {each.file}"
        for each in breakages
        for message in each.tests
        if message not in plain
    ]


def refusals_nobody_misses() -> list[str]:
    """Let variables take anything, and give those of `expect_failures` whose refusal infra/tests does not miss."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((INFRA / "tests").glob("*.hcl"))]
    wanted = {name for text in texts for group in _EXPECTED.findall(text) for name in re.findall(r"var\.(\w+)", group)}
    # Most at once; what a nonsense value of another has kept from being looked at, alone.
    suspects = wanted - _missed(wanted)
    return [f"nobody misses that var.{name} refuses" for name in sorted(suspects) if not _missed({name})]


def _missed(names: set[str]) -> set[str]:
    """Give those of these variables whose refusal infra/tests misses when they take anything."""
    with broken([]) as folder, tempfile.TemporaryDirectory(prefix="infra") as place:
        for path in folder.glob("*.tf"):
            text = path.read_text(encoding="utf-8")
            path.write_text(_VARIABLE.sub(lambda found: _takes_anything(found, names), text), encoding="utf-8")
        with deployment(Path(place), folder) as copy:
            try:
                said = copy.run("test")
            except TerraformFailed as exc:
                said = " ".join(str(exc).split())
    return {name for name in names if f"var.{name}, was expected" in said}


_EXPECTED: Final = re.compile(r"expect_failures = \[(.*?)\]", re.S)
_VARIABLE: Final = re.compile(r'^variable "(\w+)" \{\n.*?^\}', re.M | re.S)
_CONDITION: Final = re.compile(r"^    condition\s*=.*?(?=^    error_message)", re.M | re.S)


def _takes_anything(variable: re.Match[str], names: set[str]) -> str:
    if variable[1] not in names:
        return variable[0]
    return _CONDITION.sub(f"    condition = can(var.{variable[1]})\n", variable[0])


def never_broken() -> list[str]:
    """Give the laws and the assertions of infra/tests that no change is there for, and changes for one that is gone."""
    laws = set(LAWS) - {law for each in BREAKAGES for law in each.laws}
    begun = {message for each in BREAKAGES for message in each.tests}
    missing = [message for message in messages() if not any(message.startswith(each) for each in begun)]
    gone = [each for each in begun if not any(message.startswith(each) for message in messages())]
    return [*sorted(laws), *missing, *(f"no assertion begins with {each!r}" for each in sorted(gone))]


def messages() -> list[str]:
    """Give the messages of all assertions of infra/tests."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((INFRA / "tests").glob("*.hcl"))]
    return [message for text in texts for message in re.findall(r'^    error_message = "(.*)"$', text, re.M)]


def batches(breakages: Sequence[Breakage]) -> list[list[Breakage]]:
    """Give what is made in one copy each."""
    return [list(group) for _, group in groupby(sorted(breakages, key=lambda each: each.copy), lambda each: each.copy)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.infra.breakages")
    parser.add_argument("--laws", action="store_true", help="only what is compared with Python")
    only_laws = parser.parse_args(arguments).laws
    complaints = never_broken()
    for batch in batches(BREAKAGES):
        complaints += unnoticed_by_laws([each for each in batch if each.laws])
        if not only_laws:
            complaints += unnoticed_by_tests([each for each in batch if each.tests])
    if not only_laws:
        complaints += refusals_nobody_misses()
    sys.stdout.write("".join(f"{each}\n" for each in complaints))
    sys.stdout.write(f"{len(BREAKAGES)} changes, {len(complaints)} of them or of the assertions with something wrong\n")
    return 1 if complaints else 0


BREAKAGES: Final = (
    Breakage(
        "names.tf",
        "    on_sweep = {",
        "    on_sweeep = {",
        laws=("every_entry_point_of_main_is_deployed_and_nothing_else",),
        copy=1,
    ),
    Breakage(
        "topics.tf",
        'dead_letters = "dead_letters"',
        'dead_letters = "lost_letters"',
        laws=("every_topic_of_the_cloud_is_there_and_nothing_else",),
        copy=1,
    ),
    Breakage(
        "topics.tf",
        '    push_endpoint = "${google_cloudfunctions2_function.function[each.value].service_config[0].uri}',
        '    push_endpoint = "${google_cloudfunctions2_function.function["on_sweep"].service_config[0].uri}',
        laws=("every_topic_is_pushed_to_the_function_that_takes_it",),
        tests=("Every subscription should push to its topic's function",),
    ),
    Breakage(
        "topics.tf",
        '  name  = "${local.topic_prefix}${each.key}"\n  topic =',
        '  name  = "${local.topic_prefix}${each.key}-push"\n  topic =',
        laws=("every_subscription_is_named_like_its_topic",),
        tests=("A subscription should be named like its topic",),
    ),
    Breakage(
        "topics.tf",
        'minimum_backoff = "10s"',
        'minimum_backoff = "0s"',
        laws=("every_push_is_tried_again_after_10_to_600_seconds",),
        tests=("A failed message should come again after 10 s",),
    ),
    Breakage(
        "topics.tf",
        "pubsub_attempts_max = 20",
        "pubsub_attempts_max = 5",
        laws=("every_pushed_message_has_a_dead_letter_after_our_own_count",),
        tests=("Pub/Sub should give a message up after our own count does",),
    ),
    Breakage(
        "topics.tf",
        "dead_letter = 2678400",
        "dead_letter = 86400",
        laws=("dead_letters_wait_for_people",),
        tests=("Dead letters should wait for people",),
    ),
    Breakage(
        "topics.tf",
        '    # Never, however quiet it is.\n    ttl = ""',
        '    ttl = "2678400s"',
        laws=("no_subscription_ever_expires",),
        tests=("No subscription should expire",),
    ),
    Breakage(
        "topics.tf",
        "event = 604800",
        "event = 3600",
        laws=("no_message_is_forgotten_before_it_is_too_old",),
        tests=("Pub/Sub should not forget a message",),
    ),
    Breakage(
        "topics.tf",
        "ack_deadline_s = 600",
        "ack_deadline_s = 60",
        laws=("no_call_is_made_again_while_it_still_runs",),
        tests=("A message should not be delivered again",),
    ),
    Breakage("names.tf", "claim_lease_s = 90", "claim_lease_s = 91", laws=("limits_are_those_of_the_pipeline",)),
    Breakage(
        "functions.tf",
        "LONGREEL_VEO_MODEL = var.veo_model",
        "LONGREEL_VEO_MODELS = var.veo_model",
        laws=("every_function_is_told_what_it_needs_and_no_more",),
        copy=1,
    ),
    Breakage(
        "functions.tf",
        "= google_storage_bucket.media.name",
        "= google_storage_bucket.source.name",
        laws=("every_function_can_read_its_configuration",),
        tests=("Every function should know its project",),
    ),
    Breakage(
        "functions.tf",
        "{ THREADS = tostring(each.value.concurrency) }",
        '{ THREADS = "3" }',
        laws=("every_call_that_is_let_in_has_a_thread",),
        tests=("functions-framework should have a thread",),
    ),
    Breakage(
        "functions.tf",
        "min_instance_count             = 0",
        "min_instance_count             = 1",
        laws=("no_function_waits_for_work",),
        tests=("More than one call at once needs a whole processor",),
    ),
    Breakage(
        "functions.tf",
        "min(each.value.instances_max, var.instances_max)",
        "each.value.instances_max",
        laws=("a_new_project_has_room_for_every_function",),
    ),
    Breakage(
        "registry.tf",
        "  cleanup_policy_dry_run = false\n",
        "  cleanup_policy_dry_run = false\n\n  docker_config {\n    immutable_tags = true\n  }\n",
        laws=("images_can_be_pushed_again",),
    ),
    Breakage(
        "scheduler.tf",
        '"* * * * *"',
        '"*/5 * * * *"',
        laws=("the_sweep_comes_every_minute",),
        tests=("The sweep should come every minute",),
    ),
    Breakage(
        "buckets.tf",
        'public_access_prevention    = "enforced"',
        'public_access_prevention    = "inherited"',
        laws=("nothing_in_a_bucket_is_public",),
        tests=("Nothing in the bucket should be public",),
    ),
    Breakage(
        "buckets.tf",
        "retention_duration_seconds = 0",
        "retention_duration_seconds = 604800",
        laws=("deleted_objects_are_not_paid_for",),
        tests=("What is deleted should be gone",),
    ),
    Breakage(
        "buckets.tf",
        "force_destroy = false",
        "force_destroy = true",
        laws=("films_are_deleted_by_nobody_but_who_asks_for_it",),
        tests=("Terraform should delete no film",),
    ),
    Breakage(
        "buckets.tf",
        'matches_prefix = ["checkpoints/"]',
        'matches_prefix = ["checkpoint/"]',
        laws=("checkpoints_go_after_a_week",),
        tests=("Checkpoints should go after a week, and films never",),
    ),
    Breakage(
        "buckets.tf",
        ', "x-goog-if-generation-match"]',
        "]",
        laws=("browsers_may_send_what_an_upload_url_demands",),
    ),
    Breakage(
        "buckets.tf",
        'method          = ["GET", "HEAD"]',
        'method          = ["PUT", "DELETE"]',
        laws=("browsers_may_read_what_the_rules_let_them", "browsers_may_do_nothing_else"),
    ),
    Breakage(
        "buckets.tf",
        'object_name_prefix = "jobs/"',
        'object_name_prefix = "films/"',
        laws=("every_clip_and_film_is_announced",),
        tests=("Clips and films should be announced",),
    ),
    Breakage(
        "firestore.tf",
        "for index in local.indexes.indexes :",
        "for index in slice(local.indexes.indexes, 1, length(local.indexes.indexes)) :",
        laws=("every_index_of_the_file_is_made_and_no_other",),
        tests=("Every index of firestore.indexes.json",),
    ),
    Breakage(
        "firestore.tf",
        "query_scope = indexes.value.queryScope",
        'query_scope = "COLLECTION"',
        laws=("every_field_is_indexed_as_the_file_says",),
    ),
    Breakage(
        "firestore.tf",
        "try(each.value.ttl, false)",
        "try(each.value.ages, false)",
        laws=("counts_of_failures_go_by_themselves",),
        tests=("Counts of failures should go by themselves",),
    ),
    Breakage(
        "firestore.tf",
        'point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"',
        'point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_DISABLED"',
        laws=("jobs_can_be_read_as_they_were_and_are_not_deleted",),
        tests=("Jobs should be readable as they were",),
    ),
    Breakage(
        "rules.tf",
        '"cloud.firestore/${local.database}"',
        '"cloud.firestore"',
        laws=("rules_are_released_for_what_is_there",),
        tests=("Rules should be released for the environment's own database",),
        copy=1,
    ),
    Breakage(
        "rules.tf",
        'replace(file("${path.module}/firestore.rules"), local.usual_jobs_collection',
        'replace(file("${path.module}/firestore.rules"), "nothing"',
        laws=("rules_are_those_of_the_files", "rules_know_another_collection_and_another_database"),
        tests=("Rules should be for the collection that the functions write",),
        copy=1,
    ),
    Breakage(
        "rules.tf",
        'role    = "roles/firebaserules.firestoreServiceAgent"',
        'role    = "roles/firebaserules.viewer"',
        laws=("storage_rules_may_ask_whose_a_job_is",),
        tests=("The rules of Cloud Storage should be able to ask",),
    ),
    Breakage(
        "buckets.tf",
        "  depends_on = [google_pubsub_topic_iam_member.storage_publishes]\n",
        "",
        laws=("what_needs_another_comes_after_it",),
    ),
    Breakage(
        "scheduler.tf",
        """    topic_name = google_pubsub_topic.topic["sweep"].id
    data       = base64encode("{}")
  }

  depends_on = [google_project_service.api]
""",
        """    topic_name = "projects/${var.project_id}/topics/${local.topic_prefix}sweep"
    data       = base64encode("{}")
  }
""",
        laws=("everything_waits_for_its_api",),
    ),
    Breakage(
        "run_jobs.tf",
        'launch_stage = each.value.card ? "BETA" : null',
        "launch_stage = null",
        laws=("a_card_is_had_whether_google_calls_it_a_preview_or_not",),
    ),
    Breakage(
        "run_jobs.tf",
        "stitch_vcpus             = 8",
        "stitch_vcpus             = 4",
        laws=("jobs_are_the_machines_that_prices_are_reckoned_with",),
    ),
    Breakage(
        "run_jobs.tf",
        "max_retries = 1",
        "max_retries = 0",
        laws=("tasks_are_begun_again_and_end",),
        tests=("A task that dies should be begun again",),
    ),
    Breakage(
        "run_jobs.tf",
        'name  = "GOOGLE_CLOUD_PROJECT"',
        'name  = "GOOGLE_PROJECT"',
        laws=("every_job_can_read_what_it_is_told",),
    ),
    Breakage(
        "run_jobs.tf",
        'image == "" ? {} : {',
        'image == "none" ? {} : {',
        laws=("without_an_image_there_is_no_job",),
        copy=1,
    ),
    Breakage(
        "registry.tf",
        'action = "KEEP"',
        'action = "DELETE"',
        laws=("old_images_go_and_new_ones_stay",),
        tests=("Old images should go, and new ones stay",),
    ),
    Breakage(
        "access.tf",
        'role    = "roles/datastore.user"',
        'role    = "roles/editor"',
        laws=("no_role_is_wider_than_a_task",),
        tests=("A function should reach the documents of its own environment",),
    ),
    Breakage(
        "access.tf",
        "member   = google_service_account.push.member",
        'member   = "allUsers"',
        laws=("everybody_may_call_the_callables_and_nothing_else",),
        tests=("Pub/Sub should be let into the function of every topic",),
    ),
    Breakage(
        "functions.tf",
        "service_account_email          = google_service_account.function[each.key].email",
        "service_account_email          = google_service_account.push.email",
        laws=("every_function_is_its_own_account",),
        tests=("Every function should run as an account of its own",),
    ),
    Breakage(
        "names.tf",
        'account       = "requested"',
        'account       = "requested-of-a-film-or-more"',
        laws=("every_account_has_a_name_that_google_takes",),
        tests=("The id of an account has at most 30 characters",),
    ),
    Breakage(
        "scheduler.tf",
        'name        = "${local.prefix}-sweep"',
        'name        = "longreel-sweep"',
        laws=("two_environments_share_nothing",),
        tests=("Staging and production should live beside each other",),
        copy=1,
    ),
    Breakage(
        "registry.tf",
        'description   = "',
        'description   = "${formatdate("YYYY", plantimestamp())} ',
        laws=("nothing_changes_by_itself",),
    ),
    Breakage(
        "firestore.tf",
        "  type        = string\n  default     = null\n",
        "  default     = null\n",
        laws=("every_variable_says_what_it_is",),
    ),
    Breakage("apis.tf", '    "firebaserules" ', '    "firebaserule" ', laws=("every_api_that_is_used_is_turned_on",)),
    Breakage(
        "rules.tf",
        "owner_allowed = local.database == local.default_database ? replace(",
        "owner_allowed = true ? replace(",
        laws=("rules_know_another_collection_and_another_database",),
        tests=("Rules of Cloud Storage can look into the database (default) alone",),
        copy=1,
    ),
    Breakage(
        "buckets.tf",
        "for_each = var.films_kept_days[*]",
        "for_each = []",
        laws=("films_are_deleted_by_nobody_but_who_asks_for_it",),
        tests=("films_kept_days should delete films",),
        copy=1,
    ),
    Breakage(
        "run_jobs.tf",
        "stitch_task_timeout_s = 3600",
        "stitch_task_timeout_s = 7200",
        laws=("tasks_are_begun_again_and_end",),
        tests=("Cloud Run lets no task",),
        copy=1,
    ),
    Breakage(
        "run_jobs.tf",
        'each.value.card ? ["nvidia-l4"] : []',
        '["nvidia-l4"]',
        laws=("jobs_are_the_machines_that_prices_are_reckoned_with",),
        tests=("A job should have an L4",),
        copy=1,
    ),
    Breakage(
        "run_jobs.tf",
        "parallelism = 0",
        "parallelism = 1",
        laws=("tasks_are_begun_again_and_end",),
        tests=("All jobs should be where the functions look for them",),
    ),
    Breakage(
        "rules.tf",
        '"google_firebaserules_ruleset" "firestore" {\n  count = var.release_firestore_rules ? 1 : 0',
        '"google_firebaserules_ruleset" "firestore" {\n  count = 1',
        tests=("Where an app has rules of its own",),
    ),
    Breakage(
        "topics.tf",
        '  retry_policy {\n    minimum_backoff = "10s"\n    maximum_backoff = "600s"\n  }\n',
        "",
        laws=("every_push_is_tried_again_after_10_to_600_seconds",),
        tests=("Without a retry policy",),
        copy=1,
    ),
    Breakage(
        "topics.tf",
        "dead_letter_topic     = google_pubsub_topic.topic[local.dead_letters].id",
        'dead_letter_topic     = google_pubsub_topic.topic["sweep"].id',
        laws=("every_pushed_message_has_a_dead_letter_after_our_own_count",),
        tests=("What is delivered too often should go to the dead letters",),
    ),
    Breakage(
        "access.tf",
        "for_each = local.function_of_topic",
        'for_each = { sweep = "on_sweep" }',
        tests=("Pub/Sub's own account should be a subscriber",),
    ),
    Breakage(
        "access.tf",
        "topic  = google_pubsub_topic.topic[local.dead_letters].id",
        'topic  = google_pubsub_topic.topic["sweep"].id',
        tests=("Pub/Sub's own account should publish to the dead letters",),
    ),
    Breakage(
        "functions.tf",
        "  service_config {\n    available_cpu",
        '  event_trigger {\n    event_type = "google.cloud.pubsub.topic.v1.messagePublished"\n  }\n\n'
        "  service_config {\n    available_cpu",
        laws=("every_push_is_tried_again_after_10_to_600_seconds",),
        tests=("Eventarc's own subscriptions",),
    ),
    Breakage(
        "names.tf",
        "      sweep              = 300\n",
        "      sweep              = 300\n      sweeps             = 300\n",
        laws=("limits_are_those_of_the_pipeline",),
        tests=("Every topic of limits.py's EVENT_LONGEST",),
        copy=1,
    ),
    Breakage(
        "names.tf",
        'timeout_s     = local.limits.stitch_lease_s\n      memory        = "512Mi"',
        'timeout_s     = local.limits.stitch_lease_s\n      memory        = "1Gi"',
        tests=("A splice of 200 clips",),
    ),
    Breakage(
        "names.tf",
        'account       = "create-job"\n      topic         = null\n      timeout_s     = 60',
        'account       = "create-job"\n      topic         = null\n      timeout_s     = 540',
        tests=("A callable should end before",),
    ),
    Breakage(
        "functions.tf",
        'lookup(local.name_of_job, "cpu", null)',
        'lookup(local.name_of_job, "gpu", null)',
        tests=("Whoever starts, looks after or calls off a film",),
    ),
    Breakage(
        "functions.tf",
        'lookup(local.name_of_job, "cpu-large", null)',
        'lookup(local.name_of_job, "cpu", null)',
        tests=("A film that ran out of memory",),
    ),
    Breakage(
        "functions.tf",
        "      GOOGLE_CLOUD_PROJECT        = var.project_id\n",
        '      GOOGLE_CLOUD_PROJECT        = var.project_id\n      LONGREEL_EMULATED = "on"\n',
        laws=("every_function_is_told_what_it_needs_and_no_more",),
        tests=("An emulator's variable opens the door",),
        copy=1,
    ),
    Breakage(
        "access.tf",
        "for_each = local.callables",
        "for_each = toset(keys(local.functions))",
        laws=("everybody_may_call_the_callables_and_nothing_else",),
        tests=("Only the callables should be open to everybody",),
        copy=1,
    ),
    Breakage(
        "access.tf",
        "  role     = each.value.role\n  member   = google_service_account.function[each.value.function].member",
        '  role     = each.value.role\n  member   = "allAuthenticatedUsers"',
        laws=("everybody_may_call_the_callables_and_nothing_else",),
        tests=("Nothing else should be open to everybody",),
    ),
    Breakage(
        "functions.tf",
        '"ALLOW_ALL" : "ALLOW_INTERNAL_ONLY"',
        '"ALLOW_ALL" : "ALLOW_ALL"',
        tests=("The functions of topics should not be reachable",),
    ),
    Breakage("names.tf", "documents     = false", "documents     = true", tests=("Who signs uploads needs neither",)),
    Breakage(
        "access.tf",
        '{ "roles/storage.objectCreator" = "users/" }',
        '{ "roles/storage.objectCreator" = "jobs/" }',
        tests=("An upload URL should create objects in the area of users",),
    ),
    Breakage(
        "access.tf",
        'if each.objects == "upload"',
        'if each.objects != "none"',
        tests=("Only the function that signs should speak for an account",),
    ),
    Breakage(
        "access.tf",
        "each.topic == null ? [] : [local.dead_letters]",
        "[]",
        tests=("Whoever is woken by a message should be able to bury it",),
    ),
    Breakage(
        "access.tf",
        '"roles/storage.objectUser" = "checkpoints/"',
        '"roles/storage.objectUser" = "jobs/"',
        tests=("A callable should delete nothing but checkpoints",),
    ),
    Breakage(
        "access.tf",
        '"roles/run.viewer"]',
        '"roles/run.admin"]',
        laws=("no_role_is_wider_than_a_task",),
        tests=("Those who start, look after or call off films",),
        copy=1,
    ),
    Breakage(
        "access.tf",
        '"transcoder.jobs.list"',
        '"transcoder.*"',
        laws=("no_role_is_wider_than_a_task",),
        tests=("Our role for the Transcoder API is for its jobs",),
        copy=1,
    ),
    Breakage(
        "functions.tf",
        'lookup(local.name_of_job, "gpu", null)',
        'lookup(local.name_of_job, "gpu", "longreel-gpu")',
        tests=("A job that is not there should be named nowhere",),
        copy=2,
    ),
    Breakage(
        "functions.tf",
        'var.transcoder ? "on" : "off"',
        'var.transcoder ? "on" : "on"',
        tests=("transcoder = false should take the Transcoder API out",),
    ),
    Breakage(
        "names.tf",
        'account       = "cancel-job"',
        'account       = "resume-job"',
        tests=("No two accounts should have one id",),
    ),
    Breakage(
        "functions.tf",
        '"${local.prefix}-${replace(each.key',
        '"${local.prefix}-a-function-${replace(each.key',
        tests=("The name of a Cloud Run service has at most 49 characters",),
    ),
)

if __name__ == "__main__":
    sys.exit(main())
