"""deploy.sh and destroy.sh: the order of steps, nothing twice, and what is said when one fails.

Nobody is really asked here: see recorded.py for what is, and where the rest is tested.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.config import read_cloud_config
from infra.deploy.plan_guard import losses
from tests.infra.recorded import Recorded

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SCRIPTS = sorted([*(ROOT / "infra").glob("*.sh"), *(ROOT / "infra" / "deploy").glob("*.sh")])
STEPS = """tools login project apis agents quotas state ground source images plan apply firebase smoke app""".split()  # noqa: SIM905 # as deploy.sh has them

#: A call that changes something in the project.
CHANGES = re.compile(
    r"gcloud (services enable|logging buckets undelete|storage (buckets create|cp|rm)|builds submit"
    r"|services api-keys (create|delete))"
    r"|terraform \S+ (apply|state rm)"
)


@dataclass
class Ran:
    """What a run did."""

    status: int
    stdout: str
    stderr: str
    calls: list[str]

    def changes(self) -> list[str]:
        """Give the calls that changed something, shortened."""
        return [found[0] for call in self.calls if (found := CHANGES.match(call))]


class Machine:
    """A machine with recorded programs in place of gcloud and terraform, and a project that keeps what was made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.world = Recorded(self.bin)
        # A checkout of its own, so that nothing is written into the real one.
        self.root = folder / "checkout"
        self.root.mkdir()
        for path in ROOT.iterdir():
            if path.name not in {"infra", ".git", ".venv"}:
                (self.root / path.name).symlink_to(path)
        (self.root / "infra").mkdir()
        for path in (ROOT / "infra").iterdir():
            if path.name != ".deploy":
                (self.root / "infra" / path.name).symlink_to(path)

    def run(self, script: str = "deploy", **given: str) -> Ran:
        """Run a script; nobody is there to answer it."""
        self.world.calls.clear()
        environment = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "PYTHON": "python",
            "PROJECT": "my-films-4711",
            "REGION": "us-east4",
            "YES": "1",
            **given,
        }
        # By its text, since the script goes to the folder that it lies in.
        done = subprocess.run(
            ["bash", f"infra/{script}.sh"],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        calls = [" ".join(call) for call in self.world.calls]
        return Ran(done.returncode, done.stdout, done.stderr, calls)

    def given(self) -> dict[str, str]:
        """Give the variables that Terraform was told last."""
        [path] = (self.root / "infra" / ".deploy").glob("*/given.tfvars.json")
        told: dict[str, str] = json.loads(path.read_text())
        return told


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    with machine.world:
        yield machine


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, Ran]]:
    machine = Machine(tmp_path_factory.mktemp("deployed"))
    with machine.world:
        yield machine, machine.run()


def test_a_first_deployment_makes_everything_in_order_and_prints_the_films_path_alone(
    deployed: tuple[Machine, Ran],
) -> None:
    machine, ran = deployed

    assert ran.status == 0, ran.stderr
    assert ran.stdout == "gs://my-films-4711-longreel-production-media/jobs/job_abc/output/1/film.mp4\n"
    assert [line for line in ran.stderr.splitlines() if line in STEPS] == STEPS
    assert ran.changes() == [
        "gcloud services enable",
        "gcloud storage buckets create",
        "terraform -chdir=infra apply",
        "gcloud storage cp",
        "gcloud builds submit",
        "terraform -chdir=infra apply",
        "gcloud services api-keys create",
    ]
    given = machine.given()
    assert re.fullmatch(r"functions-[0-9a-f]{64}\.zip", given["source_object"])
    for kind in ("cpu", "gpu"):
        image = f"us-east4-docker.pkg.dev/my-films-4711/longreel-production/stitch-{kind}@sha256:{'ab' * 32}"
        assert given[f"image_{kind}"] == image


def test_the_key_of_the_smoke_film_is_in_no_log(deployed: tuple[Machine, Ran]) -> None:
    machine, ran = deployed

    assert any("api-keys create" in " ".join(call) for call in machine.world.calls)
    assert "a-key" not in ran.stderr + ran.stdout


def test_the_plan_is_shown_with_its_price_before_anything_is_applied(deployed: tuple[Machine, Ran]) -> None:
    _, ran = deployed

    assert "A month in which nobody uses it" in ran.stderr.partition("\napply\n")[0]


def test_the_last_words_are_what_an_app_needs_to_know_and_can_be_had_again(deployed: tuple[Machine, Ran]) -> None:
    machine, ran = deployed

    again = machine.run(FROM="app")

    for told in (ran, again):
        assert "    createJob         https://create.example\n" in told.stderr
        assert "collection videoJobs of Firestore's database (default) in my-films-4711\n" in told.stderr
        assert "Films: gs://my-films-4711-longreel-production-media\n" in told.stderr
        # What an operator's shell needs is what the functions read.
        exported = dict(re.findall(r"^    export (\w+)=(.+)$", told.stderr, re.M))
        config = read_cloud_config({name: shlex.split(value)[0] for name, value in exported.items()})
        assert (config.topic_prefix, config.firestore_database) == ("production-", "(default)")
    assert (again.stdout, again.changes()) == ("", [])


@pytest.mark.parametrize(
    ("said", "stops_at"), [("ALREADY_EXISTS: service identity", "state"), ("PERMISSION_DENIED: not you", "agents")]
)
def test_an_account_of_googles_that_is_there_already_is_no_failure(machine: Machine, said: str, stops_at: str) -> None:
    machine.world.identity = (1, said)
    machine.world.failing = "gcloud storage buckets create"

    ran = machine.run(FROM="agents")

    assert f"The step '{stops_at}' failed" in ran.stderr
    assert (said in ran.stderr) is (stops_at == "agents")


def test_a_second_deployment_changes_nothing_and_still_makes_a_film(deployed: tuple[Machine, Ran]) -> None:
    machine, first = deployed

    again = machine.run()

    assert (again.status, again.stdout) == (0, first.stdout)
    assert again.changes() == []
    assert "Nothing is to be changed." in again.stderr


#: Steps, each with a call of it that fails, in the order in which they come.
FAILURES = (
    ("tools", "terraform version"),
    ("login", "gcloud auth list"),
    ("project", "gcloud projects describe"),
    ("apis", "gcloud services enable"),
    ("agents", "gcloud beta services identity create .*transcoder"),
    ("state", "gcloud storage buckets create"),
    ("ground", "terraform .* init"),
    ("ground", "terraform .* plan .*-target"),
    ("ground", "terraform .* apply"),
    ("source", "terraform .* output .*source_bucket"),
    ("source", "gcloud storage cp"),
    ("images", "terraform .* output .*build_account"),
    ("images", "gcloud builds submit"),
    ("plan", "terraform .* console .*prefix"),
    ("plan", "terraform .* console .*database"),
    ("plan", "terraform .* state list"),
    ("plan", "terraform .* plan"),
    ("plan", "terraform .* show"),
    ("firebase", "terraform .* output -raw bucket"),
    ("firebase", "python infra/deploy/firebase.py"),
    ("smoke", "terraform .* console .*app_check"),
    ("smoke", "gcloud iam service-accounts"),
    ("smoke", "gcloud services api-keys list"),
    ("smoke", "gcloud services api-keys create"),
    ("smoke", "gcloud services api-keys get-key-string"),
    ("smoke", "python infra/smoke/sign_in.py"),
    ("smoke", "terraform .* output -json callables"),
    ("smoke", "python infra/smoke/film.py"),
    ("smoke", "gcloud storage objects describe .*film.mp4"),
    ("app", "terraform .* output -json ?$"),
)


def test_a_step_that_fails_is_named_with_what_it_was_doing_and_the_command_that_goes_on(machine: Machine) -> None:
    first = "tools"
    words = {}
    for step, pattern in FAILURES:
        machine.world.failing = pattern
        broken = machine.run(FROM=first)

        assert broken.status != 0, (step, pattern)
        assert f"The step '{step}' failed while it was to: " in broken.stderr, (pattern, broken.stderr)
        assert f"go on with: make deploy PROJECT=my-films-4711 REGION=us-east4 FROM={step}\n" in broken.stderr
        assert broken.stdout == "" or step == "app"
        words[pattern] = broken.stderr
        first = step
    machine.world.failing = ""

    # What is kept back of a key that was made is said of one that was not.
    assert "that failed, as it was told to" in words["gcloud services api-keys create"]
    # Where builds cannot run in a region, it is said which one to take.
    assert "so deploy with REGION=europe-west1" in words["gcloud builds submit"]
    assert "cloud-build/builds;region=us-east4?project=my-films-4711" in words["gcloud builds submit"]
    assert machine.run(FROM=first).status == 0, "the last command that was named finishes it"
    assert machine.run().changes() == [], "together they made one deployment, and no more"


def test_an_apply_that_breaks_off_is_planned_anew(machine: Machine) -> None:
    machine.world.failing = r"terraform -chdir=infra apply .*whole|applied\.plan"

    broken = machine.run()
    resumed = machine.run(FROM="apply")
    machine.world.failing = ""
    finished = machine.run(FROM="plan")

    assert "Not everything was made; Terraform says above what and why." in broken.stderr
    assert "Then go on with FROM=plan." in broken.stderr
    assert "There is no plan to carry out; go on with FROM=plan." in resumed.stderr
    assert finished.status == 0


def test_going_on_with_a_plan_of_sources_that_changed_meanwhile_says_to_upload_them_first(machine: Machine) -> None:
    machine.world.failing = r"terraform -chdir=infra apply .*whole|applied\.plan"
    machine.run()
    machine.world.failing = ""
    machine.world.remove("objects", "gs://my-films-4711-longreel-production-source/functions-")

    ran = machine.run(FROM="plan")

    assert "The functions' sources of now are not uploaded yet; go on with FROM=source." in ran.stderr
    assert ran.changes() == []


def test_the_command_that_goes_on_says_again_what_was_given(machine: Machine) -> None:
    machine.world.failing = "gcloud auth list"

    broken = machine.run(ENVIRONMENT="staging", GPU="off", SMOKE="veo")

    assert "PROJECT=my-films-4711 REGION=us-east4 ENVIRONMENT=staging GPU=off SMOKE=veo FROM=login\n" in broken.stderr


def test_where_nobody_can_answer_nothing_is_made_without_a_yes(machine: Machine) -> None:
    ran = machine.run(YES="")

    assert ran.status == 1
    assert 'Nobody is here to be asked "Make that? It is empty and costs nothing."' in ran.stderr
    assert not [change for change in ran.changes() if "terraform" in change]


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"PROJECT": "My Films"}, "PROJECT should be the id"),
        ({"PROJECT": ""}, "PROJECT should be the id"),
        ({"REGION": "europe"}, "REGION should be the id of a region"),
        ({"ENVIRONMENT": "Prod"}, "ENVIRONMENT should be"),
        ({"GPU": "yes"}, "GPU should be"),
        ({"SMOKE": "all"}, "SMOKE should be"),
        ({"FROM": "middle"}, "FROM=middle is no step; there are: tools login"),
    ],
)
def test_a_wrong_setting_is_refused_by_name_before_anybody_is_asked(
    machine: Machine, given: dict[str, str], word: str
) -> None:
    ran = machine.run(**given)

    assert (ran.status, ran.calls) == (1, [])
    assert word in ran.stderr


def test_an_old_terraform_is_refused(machine: Machine) -> None:
    machine.world.terraform_version = "1.8.5"
    ran = machine.run()

    assert ran.status == 1
    assert "terraform is 1.8.5; install 1.9 or later" in ran.stderr


@pytest.mark.parametrize(("quota", "gpu", "there"), [(0, "auto", False), (0, "on", True), (3, "off", False)])
def test_a_job_with_a_card_is_deployed_where_the_quota_has_one_or_as_it_is_told(
    machine: Machine, quota: int, gpu: str, there: bool
) -> None:
    machine.world.cards = quota
    ran = machine.run(GPU=gpu, SMOKE="off")

    assert ran.status == 0, ran.stderr
    assert bool(machine.given()["image_gpu"]) is there
    assert f"{quota} L4 cards at once" in ran.stderr
    assert "20 processors at once for Cloud Run in us-east4" in ran.stderr
    assert ("or insist with GPU=on" in ran.stderr) is (gpu == "auto")


def test_a_paid_smoke_film_says_its_price_and_is_ordered_only_by_a_yes(deployed: tuple[Machine, Ran]) -> None:
    machine, _ = deployed

    asked = machine.run(SMOKE="veo", FROM="smoke", YES="", PYTHON="python")
    ordered = machine.run(SMOKE="veo", FROM="smoke")

    assert 'Nobody is here to be asked "The smoke film by Veo costs $0.40; order it?"' in asked.stderr
    assert not [call for call in asked.calls if "--create-job" in call]
    [film] = [call for call in ordered.calls if "--create-job" in call]
    assert "--kind veo" in film


def test_with_app_check_only_the_teams_own_app_can_see_that_it_works(deployed: tuple[Machine, Ran]) -> None:
    machine, _ = deployed

    machine.world.app_check = True
    ran = machine.run(FROM="smoke")
    machine.world.app_check = False

    assert "App Check is on" in ran.stderr
    assert "deploy with SMOKE=off" in ran.stderr


def test_a_plan_that_would_delete_films_is_not_carried_out(machine: Machine) -> None:
    machine.world.deletes_films = True
    ran = machine.run()

    assert "The step 'plan' failed while it was to: see that the plan deletes no films and no jobs" in ran.stderr
    assert "google_storage_bucket.media would be deleted, and with it the films and clips" in ran.stderr


def test_a_deployment_that_is_there_cannot_lose_its_images_and_sources_by_a_word_such_as_another_region(
    machine: Machine,
) -> None:
    machine.world.deletes_sources = True
    machine.world.failing = "gcloud builds submit"
    # Nothing was made of them yet, so they may be made anew elsewhere.
    assert "The step 'images' failed" in machine.run().stderr
    machine.world.failing = ""
    machine.run(FROM="images")
    machine.world.remove("state", "google_artifact_registry_repository")

    ran = machine.run()

    assert "The step 'ground' failed while it was to: see that nothing is lost" in ran.stderr
    assert "google_storage_bucket.source would be deleted, and with it the sources of its functions" in ran.stderr
    assert "terraform -chdir=infra apply" not in ran.changes()


def test_a_plan_that_replaces_the_database_says_why() -> None:
    change = {"actions": ["delete", "create"], "replace_paths": [["location_id"]]}
    plan = {"resource_changes": [{"address": "google_firestore_database.main", "change": change}]}

    assert losses(plan) == [
        "google_firestore_database.main would be deleted, and with it the jobs, because it cannot be changed in place: "
        "location_id"
    ]


def test_destroy_leaves_films_and_jobs_and_a_later_deployment_takes_them_in(machine: Machine) -> None:
    machine.run()
    films = machine.world.all("objects")

    gone = machine.run("destroy")
    left = [machine.world.all(kind) for kind in ("buckets", "databases", "objects", "state")]
    back = machine.run()

    assert gone.status == 0, gone.stderr
    assert "gs://my-films-4711-longreel-production-media" in left[0]
    assert left[1:] == [["(default)"], films, []]
    assert back.status == 0, back.stderr
    assert machine.world.all("adopted") == [
        'to = google_storage_bucket.media id = "my-films-4711/my-films-4711-longreel-production-media"',
        'to = google_firestore_database.main id = "projects/my-films-4711/databases/(default)"',
    ]
    assert not (machine.root / "infra" / "adopted.tf").exists()


def test_destroy_deletes_films_and_jobs_only_when_it_is_told_to(machine: Machine) -> None:
    machine.run()

    gone = machine.run("destroy", DELETE_FILMS="1")

    assert gone.status == 0, gone.stderr
    assert "gs://my-films-4711-longreel-production-media" not in machine.world.all("buckets")
    assert not [each for each in machine.world.all("objects") if "film.mp4" in each]
    assert machine.world.all("databases") == []
    assert any("-var=deletion_protection=false" in call for call in gone.calls)
    assert "gs://my-films-4711-longreel-state" in machine.world.all("buckets")


def test_a_destroy_that_fails_names_its_step(machine: Machine) -> None:
    machine.world.failing = "terraform -chdir=infra plan -destroy"

    broken = machine.run("destroy", DELETE_FILMS="1")

    wanted = "go on with: make destroy PROJECT=my-films-4711 REGION=us-east4 DELETE_FILMS=1 FROM=everything\n"
    assert wanted in broken.stderr


def test_shellcheck_has_nothing_to_say() -> None:
    done = subprocess.run(
        [BIN / "shellcheck", "--external-sources", "--severity=style", *(ROOT / "infra").glob("*.sh")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_fits_in_300_lines_and_stops_at_the_first_failure(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.count("\n") <= 300
    if path.parent.name == "infra":
        assert "\nset -euo pipefail\n" in text
        assert os.access(path, os.X_OK)


def test_a_deployment_within_a_week_of_a_destroy_calls_the_bucket_of_logs_back(machine: Machine) -> None:
    machine.run()
    machine.run("destroy", DELETE_FILMS="1")
    machine.world.keep("deleted logs", "longreel-production-lines")

    back = machine.run()
    again = machine.run()

    assert (back.status, again.status) == (0, 0), back.stderr
    assert "gcloud logging buckets undelete" in back.changes()
    assert "gcloud logging buckets undelete" not in again.changes()
