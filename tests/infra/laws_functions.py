"""What must hold of functions, their topics and their variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from adapters.config import CloudConfig, read_cloud_config
from events.errors import InvalidRequest
from events.messages import DEAD_LETTERS, Topic
from pipeline import limits
from tests.infra import product
from tests.infra.terraform import Made
from tests.infra.world import PRODUCTION, PROJECT, World, environment_of, functions_of

#: What a new project may have in one region of Cloud Run, in its poorer regions. Sources: refusals that projects were
#: told of: "For the specified value, maxScale may not exceed 10" at one processor (firebase-tools PR 5867, us-east4,
#: 2023; nitric issue 547, 2023; friendlyeats-web issue 291, 2024), "CpuAllocPerProjectRegion … allowed: 20000,
#: MemAllocPerProjectRegion … allowed: 42949672960" (googlecodelabs/feedback issue 1856, europe-west4, 2026).
NEW_PROJECT_VCPUS = 10
NEW_PROJECT_MEMORY_MIB = 40 * 1024


def every_entry_point_of_main_is_deployed_and_nothing_else(world: World) -> Iterator[str]:
    for made in world.both:
        deployed = [
            each.values["build_config"][0]["entry_point"] for each in made.all("google_cloudfunctions2_function")
        ]
        yield from (f"{name} is not deployed" for name in product.entry_points().keys() - set(deployed))
        yield from (f"{name} is deployed and not in main.py" for name in set(deployed) - product.entry_points().keys())
        yield from (f"{name} is deployed twice" for name in set(deployed) if deployed.count(name) > 1)


def every_topic_of_the_cloud_is_there_and_nothing_else(world: World) -> Iterator[str]:
    wanted = {f"production-{topic}" for topic in (*_topics(), DEAD_LETTERS)}
    named = {each.values["name"] for each in world.production.all("google_pubsub_topic")}
    yield from (f"no topic {name}" for name in wanted - named)
    yield from (f"a topic {name} that nobody knows" for name in named - wanted)


def every_topic_is_pushed_to_the_function_that_takes_it(world: World) -> Iterator[str]:
    functions, pushed = functions_of(world.production), _pushed(world.production)
    for name, topic in product.entry_points().items():
        if topic is None or name not in functions:
            continue
        if topic not in pushed:
            yield f"{topic} is pushed to nobody"
            continue
        push, address = pushed[topic]["push_config"][0], functions[name]["service_config"][0]["uri"]
        if not str(push["push_endpoint"]).startswith(f"{address}/"):
            yield f"{topic} is pushed to {push['push_endpoint']}, not to {name}"
        elif not str(push["push_endpoint"]).endswith(f"/projects/{PROJECT}/topics/production-{topic}"):
            yield f"functions-framework cannot know the topic by {push['push_endpoint']}"
        if not push["oidc_token"] or push["oidc_token"][0]["audience"] != address:
            yield f"pushes of {topic} do not sign in for {name}"


def every_subscription_is_named_like_its_topic(world: World) -> Iterator[str]:
    for each in world.production.all("google_pubsub_subscription"):
        topic = str(each.values["topic"]).rpartition("/")[2]
        if each.values["name"] != topic:
            yield f"{each.values['name']} is a subscription of {topic}: its dead letters could not be replayed"


def every_push_is_tried_again_after_10_to_600_seconds(world: World) -> Iterator[str]:
    for topic, each in _pushed(world.production).items():
        policy = each["retry_policy"]
        if not policy or (policy[0]["minimum_backoff"], policy[0]["maximum_backoff"]) != ("10s", "600s"):
            yield f"{topic} is tried again by {policy}"
    for each in world.production.all("google_cloudfunctions2_function"):
        for trigger in each.values["event_trigger"]:
            if trigger["retry_policy"] != "RETRY_POLICY_RETRY":
                yield f"{each.address} has a trigger without retries"


def every_pushed_message_has_a_dead_letter_after_our_own_count(world: World) -> Iterator[str]:
    [letters] = [
        each.values["id"] for each in world.production.all("google_pubsub_topic") if each.index == DEAD_LETTERS
    ]
    for topic, each in _pushed(world.production).items():
        policy = each["dead_letter_policy"]
        if not policy or policy[0]["dead_letter_topic"] != letters:
            yield f"{topic} has no dead letters"
        elif policy[0]["max_delivery_attempts"] < max(20, CloudConfig.delivery_attempts_max + 1):
            yield f"Pub/Sub gives {topic} up before we have said why"


def dead_letters_wait_for_people(world: World) -> Iterator[str]:
    for each in _pulled(world.production):
        kept = _seconds(each["message_retention_duration"])
        if not timedelta(days=7) <= kept <= timedelta(days=31):
            yield f"dead letters are kept for {kept}"
        if each["ack_deadline_seconds"] != 60:
            yield f"whoever looks at a dead letter holds it for {each['ack_deadline_seconds']} s"
    if [each["name"] for each in _pulled(world.production)] != [f"production-{DEAD_LETTERS}"]:
        yield "there is not one pull subscription, that of the dead letters"


def no_subscription_ever_expires(world: World) -> Iterator[str]:
    for each in world.production.all("google_pubsub_subscription"):
        if each.values["expiration_policy"] != [{"ttl": ""}]:
            yield f"{each.address} goes when nobody uses it"


def no_message_is_forgotten_before_it_is_too_old(world: World) -> Iterator[str]:
    for topic, each in _pushed(world.production).items():
        if _seconds(each["message_retention_duration"]) < limits.EVENT_LONGEST[Topic(topic)]:
            yield f"Pub/Sub forgets {topic} before its event is too old"


def no_call_is_made_again_while_it_still_runs(world: World) -> Iterator[str]:
    """Whoever holds a claim is stopped when others may hold it to be lost."""
    longest = {
        "on_segment_requested": limits.CLAIM_LEASE,
        "on_stitch_requested": limits.STITCH_LEASE,
        "on_sweep": limits.EVENT_LONGEST[Topic.SWEEP],
    }
    pushed = _pushed(world.production)
    for name, function in functions_of(world.production).items():
        timeout = timedelta(seconds=function["service_config"][0]["timeout_seconds"])
        topic = product.entry_points().get(name)
        deadline = timedelta(seconds=pushed[topic]["ack_deadline_seconds"] if topic in pushed else 3600)
        if timeout > min(deadline, longest.get(name, deadline)):
            yield f"{name} may take {timeout}, longer than {min(deadline, longest.get(name, deadline))}"


def limits_are_those_of_the_pipeline(world: World) -> Iterator[str]:
    wanted = {
        "claim_lease_s": limits.CLAIM_LEASE.total_seconds(),
        "stitch_lease_s": limits.STITCH_LEASE.total_seconds(),
        "event_longest_s": {str(topic): limits.EVENT_LONGEST[topic].total_seconds() for topic in _topics()},
    }
    if (said := world.copy.value("local.limits", PRODUCTION)) != wanted:
        yield f"local.limits is {said}, and pipeline/limits.py says {wanted}"


def every_function_is_told_what_it_needs_and_no_more(world: World) -> Iterator[str]:
    told: dict[str, set[str]] = {}
    for made in world.both:
        for name, function in functions_of(made).items():
            told.setdefault(name, set()).update(environment_of(function))
    for variable in product.variables_read():
        wanted, given = product.who_needs()[variable], {name for name, names in told.items() if variable in names}
        yield from (f"{name} is not told {variable}" for name in wanted - given)
        yield from (f"{name} is told {variable}, and docs/configuration.md does not say so" for name in given - wanted)
    for name, names in told.items():
        unknown = names - product.variables_read() - {"THREADS"}
        yield from (f"{name} is told {variable}, which nothing reads" for variable in unknown)


def every_function_can_read_its_configuration(world: World) -> Iterator[str]:
    for made in world.both:
        for name, function in functions_of(made).items():
            try:
                config = read_cloud_config(environment_of(function))
            except InvalidRequest as exc:
                yield f"{name} does not start: {exc}"
                continue
            yield from _wrong_places(made, name, config, environment_of(function))


def _wrong_places(made: Made, name: str, config: CloudConfig, told: Mapping[str, str]) -> Iterator[str]:
    """Compare what a function believes with what is there."""
    if config.bucket != made.one("google_storage_bucket", "media")["name"]:
        yield f"{name} looks for clips in {config.bucket}"
    if config.firestore_database != made.one("google_firestore_database", "main")["name"]:
        yield f"{name} looks for jobs in the database {config.firestore_database}"
    composites = {each.values["collection"] for each in made.all("google_firestore_index")}
    if config.jobs_collection not in composites:
        yield f"{name} looks for jobs in {config.jobs_collection}, which has no indexes"
    topics = {each.values["name"] for each in made.all("google_pubsub_topic")}
    if {config.topic_prefix + topic for topic in _topics()} - topics:
        yield f"{name} publishes to {config.topic_prefix}…, which is not there"
    jobs = {each.values["name"]: each.values["location"] for each in made.all("google_cloud_run_v2_job")}
    for job in (config.cpu_job, config.gpu_job, config.larger_cpu_job, config.larger_gpu_job):
        if job is not None and jobs.get(job) != config.region:
            yield f"{name} looks for the job {job} in {config.region}, and it is in {jobs.get(job)}"
    if told.get("THREADS") and int(told["THREADS"]) < 1:
        yield f"{name} answers nobody"


def every_call_that_is_let_in_has_a_thread(world: World) -> Iterator[str]:
    for name, function in functions_of(world.production).items():
        let_in = function["service_config"][0]["max_instance_request_concurrency"]
        if environment_of(function).get("THREADS") != str(let_in):
            yield f"{name} takes {let_in} calls at once, and has {environment_of(function).get('THREADS')} threads"


def no_function_waits_for_work(world: World) -> Iterator[str]:
    for name, function in functions_of(world.production).items():
        config = function["service_config"][0]
        if config["min_instance_count"]:
            yield f"{name} is paid for while nobody uses it"
        if not config["max_instance_count"]:
            yield f"{name} may cost anything"


def a_new_project_has_room_for_every_function(world: World) -> Iterator[str]:
    """Cloud Run refuses a service that may grow beyond the region's quota, and so the deployment."""
    for name, function in functions_of(world.production).items():
        config = function["service_config"][0]
        if (vcpus := int(config["available_cpu"]) * config["max_instance_count"]) > NEW_PROJECT_VCPUS:
            yield f"{name} may have {vcpus} processors, and a new project {NEW_PROJECT_VCPUS}"
        if (memory_mib := _mib(config["available_memory"]) * config["max_instance_count"]) > NEW_PROJECT_MEMORY_MIB:
            yield f"{name} may have {memory_mib} MiB, and a new project {NEW_PROJECT_MEMORY_MIB}"


def the_sweep_comes_every_minute(world: World) -> Iterator[str]:
    [job] = world.production.all("google_cloud_scheduler_job")
    target = job.values["pubsub_target"]
    if job.values["schedule"] != "* * * * *" or not target:
        yield "the sweep does not come every minute"
    elif not str(target[0]["topic_name"]).endswith(f"/topics/production-{Topic.SWEEP}"):
        yield f"the sweep is told to {target[0]['topic_name']}"


def _topics() -> set[Topic]:
    return {topic for topic in product.entry_points().values() if topic is not None}


def _pushed(made: Made) -> dict[str, Mapping[str, Any]]:
    """Give the push subscriptions by their topics."""
    found = [each.values for each in made.all("google_pubsub_subscription") if each.values["push_config"]]
    prefix = f"{environment_name(made)}-"
    return {str(each["topic"]).rpartition("/")[2].removeprefix(prefix): each for each in found}


def _pulled(made: Made) -> list[Mapping[str, Any]]:
    return [each.values for each in made.all("google_pubsub_subscription") if not each.values["push_config"]]


def environment_name(made: Made) -> str:
    """Give the environment's name."""
    return str(made.one("google_storage_bucket", "media")["name"]).removesuffix("-media").rpartition("longreel-")[2]


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=float(text.removesuffix("s")))


def _mib(text: str) -> int:
    return int(text[:-2]) * {"Mi": 1, "Gi": 1024}[text[-2:]]
