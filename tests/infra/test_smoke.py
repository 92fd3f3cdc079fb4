"""The smoke film, really made: by the callables on Google's emulators, under the rules that are deployed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from infra.smoke.callables import Refused
from infra.smoke.film import CLIPS, Deployed, NoFilm, make_film, price_usd
from media.probe import probe
from media.reader import BytesReader
from tests.cloud import emulators
from tests.cloud.conftest import needs_emulators as needs_emulators
from tests.cloud.stack import REGION, ROOT, LocalCloud
from tests.web.firestore_rest import RULES, FirestoreRest

PROGRAM = ROOT / "infra" / "smoke" / "film.py"


@pytest.fixture(scope="module")
def cloud(needs_emulators: None) -> Iterator[LocalCloud]:
    with LocalCloud() as cloud:
        FirestoreRest(emulators.firestore_host(), cloud.project).release_rules(RULES.read_text(encoding="utf-8"))
        yield cloud


def deployed(cloud: LocalCloud) -> Deployed:
    functions = f"http://127.0.0.1:{cloud.port}/{cloud.project}/{REGION}"
    documents = f"http://{emulators.firestore_host()}/v1/projects/{cloud.project}/databases/(default)/documents"
    return Deployed(f"{functions}/createJob", f"{functions}/createUploadUrl", documents)


def test_the_program_has_a_film_spliced_of_its_two_clips_and_prints_the_path_alone(cloud: LocalCloud) -> None:
    urls = deployed(cloud)
    command = [sys.executable, str(PROGRAM), "--create-job", urls.create_job]
    command += ["--create-upload-url", urls.create_upload_url, "--documents", urls.documents]
    environment = {"PATH": os.environ["PATH"], "LONGREEL_ID_TOKEN": cloud.token("longreel-smoke")}

    # It runs as deploy.sh runs it: by Python's own library alone (-S leaves out whatever is installed).
    command.insert(1, "-S")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    path = done.stdout.removesuffix("\n")
    film = cloud.storage.find(path)
    assert film is not None
    [job] = cloud.adapters.jobs.jobs(user_id="longreel-smoke")
    assert job.route is not None
    assert (job.route.stitcher, job.film and job.film.uri) == ("splice", path)
    assert job.cost.spent_micro_usd <= 200, "the splice costs a few requests"
    assert cloud.vertex.bought == []


def test_each_smoke_film_is_made_anew(cloud: LocalCloud) -> None:
    token = cloud.token("twice")

    first, second = (make_film(deployed(cloud), token, "clips", look_every_seconds=0.1) for _ in range(2))

    assert first != second


def test_a_paid_one_says_its_price_first_and_then_orders_one_clip(cloud: LocalCloud) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--kind", "veo", "--price", cloud.config.veo_model],
        capture_output=True,
        text=True,
        check=True,
    )
    make_film(deployed(cloud), cloud.token("rich"), "veo", look_every_seconds=0.1)

    assert done.stdout == "0.40\n"
    [job] = cloud.adapters.jobs.jobs(user_id="rich")
    assert job.cost.estimated_micro_usd == 400_000 == round(price_usd("veo", cloud.config.veo_model) * 1_000_000)
    assert len(cloud.vertex.bought) == 1


def test_somebody_who_is_not_signed_in_gets_no_film_and_is_told(cloud: LocalCloud) -> None:
    with pytest.raises(Refused, match=r"call createUploadUrl: HTTP 401: .*UNAUTHENTICATED"):
        make_film(deployed(cloud), "nonsense", "clips")


def test_a_job_that_fails_ends_with_its_own_words(cloud: LocalCloud) -> None:
    cloud.vertex.rule(refuse=400, said="not this prompt")

    with pytest.raises(NoFilm, match=r"job_\w+ is failed: .*not this prompt"):
        make_film(deployed(cloud), cloud.token("unlucky"), "veo", look_every_seconds=0.1)


def test_nothing_is_said_without_encryption_to_another_machine() -> None:
    elsewhere = Deployed("http://films.example/createJob", "http://films.example/createUploadUrl", "")

    with pytest.raises(ValueError, match="is not encrypted"):
        make_film(elsewhere, "token", "clips")


def test_its_clips_are_small_and_alike_so_that_nothing_is_encoded() -> None:
    first, second = (probe(BytesReader(clip.read_bytes()), clip.name) for clip in CLIPS)

    assert first.size_bytes + second.size_bytes < 24_000
    assert (first.conform, first.obstacles) == (second.conform, second.obstacles)
    assert first.obstacles == []
