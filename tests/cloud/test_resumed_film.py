"""A film whose making was stopped and taken up again says so on its job, on one machine and in the cloud."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Door
from tests.cloud.servers.run import How, RunJob
from tests.cloud.stack import BUCKET, LocalCloud
from tests.media.clips import ClipSpec, make_clip

#: One that is kept and one, of another frame rate, that is encoded to twelve frames; its sound comes second.
CLIPS = (ClipSpec(1, frames=24), ClipSpec(2, frames=15, fps="30"))
FRAMES = 12


def clips_in(folder: Path) -> list[Path]:
    return [make_clip(spec, folder / f"clip{spec.number}.mp4") for spec in CLIPS]


def holds(film: dict[str, Any] | None) -> bool:
    assert film is not None
    report = film["report"]
    return bool((report["resumedCount"], report["resumedFrom"], report["encodedFrameCount"]) == (1, FRAMES, FRAMES))


def test_the_document_of_a_job_in_the_cloud_says_that_its_film_was_resumed(
    needs_emulators: None, tmp_path: Path
) -> None:
    from google.cloud import firestore

    with LocalCloud(variables={"LONGREEL_CPU_JOB": "stitch-cpu", "LONGREEL_TRANSCODER": "off"}) as cloud:
        env = {
            "STORAGE_EMULATOR_HOST": cloud.storage.url,
            "LONGREEL_EMULATED": "on",
            "GOOGLE_CLOUD_PROJECT": cloud.project,
        }
        program = (sys.executable, "-m", "gpu_job", "--processes", "1")
        cloud.run.deploy(RunJob("stitch-cpu", env=env, entrypoint=program, max_retries=1))
        cloud.run.next_goes(How(kill_when_it_says="making clip-1-sound"))
        uris = [f"gs://{BUCKET}/users/alice/uploads/{number}/clip.mp4" for number in range(len(CLIPS))]
        for uri, path in zip(uris, clips_in(tmp_path), strict=True):
            cloud.storage.put(uri, path.read_bytes(), contentType="video/mp4")

        job_id = cloud.call("createJob", {"projectId": "p", "clips": uris})["jobId"]
        job = cloud.finished(job_id)

        assert job.state == "completed", job
        cloud.run.wait()
        assert cloud.run.executions[0].exit_codes == [137, 0]
        assert job.film is not None
        assert (job.film.report.resumed_count, job.film.report.resumed_from) == (1, FRAMES)
        with closing(firestore.Client(project=cloud.project)) as client:
            document = client.document(f"videoJobs/{job_id}").get().to_dict()
        assert document is not None
        assert holds(document["film"])


#: An FFmpeg that once, before it makes a sound, waits until the picture is kept and kills whoever started it.
KILLS_ITS_PARENT = """#!/bin/sh
case "$*" in *clip-1-sound*)
    if [ ! -e {mark} ]; then
        until ls {home}/objects/*/checkpoints/*/*/clip-1-chunk-*.json 2>/dev/null; do sleep 0.05; done
        touch {mark}
        kill -9 $PPID
    fi
esac
exec {ffmpeg} "$@"
"""


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def test_the_status_of_a_job_on_one_machine_says_that_its_film_was_resumed(door: Door, tmp_path: Path) -> None:
    import imageio_ffmpeg

    program, real = tmp_path / "ffmpeg-that-kills", imageio_ffmpeg.get_ffmpeg_exe()
    program.write_text(KILLS_ITS_PARENT.format(mark=tmp_path / "killed", home=door.home, ffmpeg=real))
    program.chmod(0o755)

    done = door.run("stitch", *clips_in(tmp_path), "-o", tmp_path / "film.mp4", LONGREEL_FFMPEG=str(program))

    assert done.returncode == 0, done
    assert (tmp_path / "killed").exists()
    (listed,) = door.jobs()
    job = door.job(listed["jobId"])
    assert holds(job["film"]), json.dumps(job["film"])
    assert list((door.home / "objects").glob("*/checkpoints/*/*/*")) == []
