"""The splice in an object store: the right film, few bytes, nothing left behind, whatever happens on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.compose_clips import merged
from adapters.compose_splice import ComposeSplice
from adapters.compose_tree import SOURCES_MAX, compose_tree
from adapters.film_report import report_of
from events.clip import StitchReport
from events.errors import StitchFailed, Unavailable
from events.plan import Compression, Engine, Loudness, Orientation, StitchPlan
from media.mp4_index import read_movie
from media.reader import BytesReader
from media.trim import nearest_cut
from media.verify import read_back
from pipeline.object_port import ObjectInfo
from pipeline.routing import Offer, Refusal
from pipeline.work_ports import FilmReady, Gone
from tests.cloud.compose_bench import JOB_URI, Died, Meddled, Store, cloud_store, disk_store, dying
from tests.media.clips import ClipSpec, make_clip, read_frames, run_ffmpeg

REPOSITORY = Path(__file__).parents[2]
FRAMES = 12
#: Peak memory of a function of 512 MiB.
MEMORY_MAX_KIB = 512 * 1024


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Give three clips that conform."""
    folder = tmp_path_factory.mktemp("clips")
    return [make_clip(ClipSpec(number, frames=FRAMES), folder / f"{number}.mp4").read_bytes() for number in (1, 2, 3)]


@pytest.fixture(params=[disk_store, cloud_store], ids=["disk", "cloud"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with request.param(tmp_path) as made:
        yield made


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Store]:
    with disk_store(tmp_path) as made:
        yield made


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Store]:
    with cloud_store(tmp_path) as made:
        yield made


def frames_in(film: bytes, folder: Path) -> list[tuple[int, int]]:
    path = folder / "looked-at.mp4"
    path.write_bytes(film)
    return read_frames(path)


def frames_of(*numbers: int) -> list[tuple[int, int]]:
    return [(number, frame) for number in numbers for frame in range(FRAMES)]


def test_the_film_is_its_clips_behind_a_header_and_shows_every_frame_in_order(
    store: Store, clips: list[bytes], tmp_path: Path
) -> None:
    plan = store.plan(clips)

    ready = ComposeSplice(store.objects).start(plan)

    film = store.film(plan)
    assert film.endswith(b"".join(clips))
    assert frames_in(film, tmp_path) == frames_of(1, 2, 3)
    assert ready.report == read_back(BytesReader(film), 3 * FRAMES).to_report().model_copy(
        update={"sound": "smart", "joins": ready.report.joins}
    )
    assert [join.at_ms for join in ready.report.joins] == [500, 1000]
    found = store.objects.stat(plan.output_uri)
    assert found is not None
    assert (ready.uri, ready.generation) == (found.uri, found.generation)
    assert store.rubbish(plan) == []


def test_a_clip_may_stand_in_the_film_twice(store: Store, clips: list[bytes], tmp_path: Path) -> None:
    plan = store.plan(clips[:2])
    twice = plan.model_copy(
        update={"clips": [plan.clips[0], plan.clips[1], plan.clips[0].model_copy(update={"segment_index": 2})]}
    )

    ComposeSplice(store.objects).start(twice)

    assert frames_in(store.film(plan), tmp_path) == frames_of(1, 2, 1)


def test_a_single_clip_is_a_film_too(store: Store, clips: list[bytes], tmp_path: Path) -> None:
    plan = store.plan(clips[:1])

    ready = ComposeSplice(store.objects).start(plan)

    assert frames_in(store.film(plan), tmp_path) == frames_of(1)
    assert ready.report.joins == []


def test_clips_without_sound_make_a_silent_film(store: Store, tmp_path: Path) -> None:
    made = [make_clip(ClipSpec(n, frames=FRAMES, tone=None), tmp_path / f"{n}.mp4").read_bytes() for n in (4, 5)]
    plan = store.plan(made)

    ready = ComposeSplice(store.objects).start(plan)

    assert ready.report.sound == "none"
    assert frames_in(store.film(plan), tmp_path) == frames_of(4, 5)


def test_a_clip_with_its_index_in_front_is_no_different(store: Store, clips: list[bytes], tmp_path: Path) -> None:
    spec = ClipSpec(6, frames=FRAMES, muxer=("-movflags", "+faststart"))
    plan = store.plan([clips[0], make_clip(spec, tmp_path / "front.mp4").read_bytes()])

    ComposeSplice(store.objects).start(plan)

    assert frames_in(store.film(plan), tmp_path) == frames_of(1, 6)


def test_only_the_beginning_of_a_clip_is_shown_where_no_more_is_kept(
    store: Store, clips: list[bytes], tmp_path: Path
) -> None:
    plan = store.plan(clips, keep_ms=[250, None, 330])
    kept = [
        nearest_cut(read_movie(BytesReader(clips[i]), "clip").video, ms).frame_count for i, ms in ((0, 250), (2, 330))
    ]

    ready = ComposeSplice(store.objects).start(plan)

    shown = frames_in(store.film(plan), tmp_path)
    assert shown == frames_of(1)[: kept[0]] + frames_of(2) + frames_of(3)[: kept[1]]
    assert ready.report.frame_count == len(shown) < 3 * FRAMES
    assert ready.report.joins[0].at_ms == round(kept[0] * 1000 / 24)


@pytest.mark.parametrize("count", [31, 32, 65])
def test_more_clips_than_one_request_composes_make_the_same_film(
    store: Store, clips: list[bytes], tmp_path: Path, count: int
) -> None:
    contents = [clips[index % 3] for index in range(count)]
    plan = store.plan(contents)

    ComposeSplice(store.objects).start(plan)

    film = store.film(plan)
    assert film.endswith(b"".join(contents))
    assert frames_in(film, tmp_path) == frames_of(*(1 + index % 3 for index in range(count)))
    assert store.rubbish(plan) == []


def test_the_report_is_there_when_the_film_arrives(store: Store, clips: list[bytes]) -> None:
    plan = store.plan(clips)
    seen: list[StitchReport | None] = []

    def look(info: ObjectInfo) -> None:
        if info.uri == plan.output_uri:
            seen.append(report_of(plan, store.objects.read(plan.report_uri), info.size_bytes))

    store.listener = look
    ready = ComposeSplice(store.objects).start(plan)

    assert seen == [ready.report]


def test_asked_again_the_same_film_is_given_without_work(store: Store, clips: list[bytes]) -> None:
    plan = store.plan(clips)
    first = ComposeSplice(store.objects).start(plan)
    watched = Meddled(store.objects)

    again = ComposeSplice(watched).start(plan)

    assert again == first
    assert [name for name, _ in watched.calls] == ["stat", "read", "list"]


def test_a_film_of_another_plan_under_the_same_name_is_replaced(
    store: Store, clips: list[bytes], tmp_path: Path
) -> None:
    plan = store.plan(clips)
    ComposeSplice(store.objects).start(plan.model_copy(update={"clips": plan.clips[:2]}))

    ComposeSplice(store.objects).start(plan)

    assert frames_in(store.film(plan), tmp_path) == frames_of(1, 2, 3)


@pytest.mark.parametrize("answered", [False, True], ids=["before", "after"])
def test_a_process_that_dies_at_any_call_leaves_nothing_that_a_second_try_does_not_mend(
    disk: Store, clips: list[bytes], answered: bool
) -> None:
    plan = disk.plan(clips)
    whole = Meddled(disk.objects)
    ComposeSplice(whole, workers=4).start(plan)
    expected = disk.film(plan)
    for at in range(len(whole.calls)):
        disk.objects.delete(plan.output_uri)
        disk.objects.delete(plan.report_uri)
        with pytest.raises(Died):
            ComposeSplice(dying(disk.objects, at, answered=answered), workers=4).start(plan)

        ready = ComposeSplice(disk.objects).start(plan)

        assert disk.film(plan) == expected
        assert report_of(plan, disk.objects.read(plan.report_uri), len(expected)) == ready.report
        assert disk.rubbish(plan) == []


def test_in_the_cloud_too_a_second_try_mends_what_a_process_left_that_died_behind_any_write(
    cloud: Store, clips: list[bytes]
) -> None:
    plan = cloud.plan(clips)
    whole = Meddled(cloud.objects)
    ComposeSplice(whole, workers=1).start(plan)
    expected = cloud.film(plan)
    for at in [number for number, (name, _) in enumerate(whole.calls) if name in ("write", "compose", "delete")]:
        cloud.objects.delete(plan.output_uri)
        cloud.objects.delete(plan.report_uri)
        with pytest.raises(Died):
            ComposeSplice(dying(cloud.objects, at, answered=True), workers=1).start(plan)

        ComposeSplice(cloud.objects).start(plan)

        assert cloud.film(plan) == expected
        assert cloud.rubbish(plan) == []


def test_two_calls_at_the_same_time_make_one_film(cloud: Store, clips: list[bytes]) -> None:
    plan = cloud.plan(clips)

    def start(_: int) -> FilmReady | Unavailable:
        try:
            return ComposeSplice(cloud.objects, workers=4).start(plan)
        except Unavailable as exc:
            return exc  # The event would be delivered again.

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(start, range(3)))

    last = ComposeSplice(cloud.objects).start(plan)
    assert all(answer == last for answer in answers if isinstance(answer, FilmReady))
    assert [info.uri for info in cloud.finalized].count(plan.output_uri) == 1
    assert cloud.film(plan).endswith(b"".join(clips))
    assert cloud.rubbish(plan) == []


def test_a_store_that_fails_at_any_call_is_tried_again_and_nothing_is_left(disk: Store, clips: list[bytes]) -> None:
    plan = disk.plan(clips)
    whole = Meddled(disk.objects)
    ComposeSplice(whole, workers=4).start(plan)
    expected = disk.film(plan)
    for at in range(len(whole.calls)):
        disk.objects.delete(plan.output_uri)
        disk.objects.delete(plan.report_uri)

        def fail(number: int, name: str, uri: str, at: int = at) -> None:
            if number == at:
                raise Unavailable(f"{name} {uri}: no answer")

        failing = Meddled(disk.objects, fail)
        with suppress(Unavailable):
            ComposeSplice(failing, workers=4).start(plan)
        if failing.calls[at][0] not in ("list", "delete"):
            assert disk.rubbish(plan) == []

        ComposeSplice(disk.objects).start(plan)

        assert disk.film(plan) == expected
        assert disk.rubbish(plan) == []


def test_what_cannot_be_cleared_up_is_only_logged(
    disk: Store, clips: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    plan = disk.plan(clips)

    def fail(number: int, name: str, uri: str) -> None:
        if name == "delete":
            raise Unavailable(f"delete {uri}: no answer")

    ready = ComposeSplice(Meddled(disk.objects, fail)).start(plan)

    assert isinstance(ready, FilmReady)
    assert "no answer" in caplog.text


def test_a_film_that_another_call_has_just_made_is_taken(disk: Store, clips: list[bytes]) -> None:
    plan = disk.plan(clips)
    made: list[FilmReady] = []

    def overtake(number: int, name: str, uri: str) -> None:
        if (name, uri) == ("compose", plan.output_uri) and not made:
            made.append(ComposeSplice(disk.objects).start(plan))

    ready = ComposeSplice(Meddled(disk.objects, overtake)).start(plan)

    assert [ready] == made
    assert disk.rubbish(plan) == []


@pytest.mark.parametrize("point", ["header", "film.mp4"])
def test_a_call_whose_parts_another_call_has_cleared_up_says_so_or_takes_its_film(
    disk: Store, clips: list[bytes], point: str
) -> None:
    plan = disk.plan(clips)
    made: list[FilmReady] = []

    def overtake(number: int, name: str, uri: str) -> None:
        if uri.endswith(f"/splice/{point}") and name in ("write", "compose") and not made:
            made.append(ComposeSplice(disk.objects).start(plan))

    ready = ComposeSplice(Meddled(disk.objects, after=overtake)).start(plan)

    assert [ready] == made


@pytest.mark.parametrize("what", ["changed", "deleted"])
def test_a_clip_that_is_not_the_one_that_was_looked_at_is_refused_by_its_segment(
    store: Store, clips: list[bytes], what: str
) -> None:
    plan = store.plan(clips)
    if what == "changed":
        store.put(plan.clips[1].uri, clips[0])
    else:
        store.objects.delete(plan.clips[1].uri)

    with pytest.raises(StitchFailed) as failed:
        ComposeSplice(store.objects).start(plan)

    assert (failed.value.code, failed.value.segment_index, failed.value.retryable) == ("clip_changed", 1, False)
    assert store.objects.stat(plan.output_uri) is None
    assert store.rubbish(plan) == []


def test_a_clip_that_is_replaced_while_the_film_is_composed_never_gets_into_a_film(
    cloud: Store, clips: list[bytes]
) -> None:
    plan = cloud.plan(clips)
    # As long as the old one, so that only its checksum tells.
    other = clips[1][:-100] + bytes(100)

    def replace_clip(number: int, name: str, uri: str) -> None:
        if name == "compose" and uri.endswith("/splice/film.mp4"):
            cloud.put(plan.clips[1].uri, other)

    with pytest.raises(StitchFailed) as failed:
        ComposeSplice(Meddled(cloud.objects, replace_clip)).start(plan)

    assert (failed.value.code, failed.value.segment_index) == ("clip_changed", 1)
    assert plan.output_uri not in [info.uri for info in cloud.finalized]
    assert cloud.rubbish(plan) == []


class WrongSums(Meddled):
    """A store that composes wrongly."""

    def compose(self, uri: str, source_uris: object, if_generation: int | None = None) -> ObjectInfo:
        made = super().compose(uri, source_uris, if_generation)  # type: ignore[arg-type]  # it is what we were given
        assert made.crc32c is not None
        return replace(made, crc32c=made.crc32c ^ 1)


def test_a_film_of_another_checksum_than_its_clips_give_is_thrown_away(cloud: Store, clips: list[bytes]) -> None:
    plan = cloud.plan(clips)

    with pytest.raises(StitchFailed, match="checksum") as failed:
        ComposeSplice(WrongSums(cloud.objects)).start(plan)

    assert failed.value.retryable
    assert cloud.objects.stat(plan.output_uri) is None
    assert cloud.rubbish(plan) == []


def test_a_damaged_clip_is_named(store: Store, clips: list[bytes]) -> None:
    plan = store.plan(clips)
    info = store.put(plan.clips[2].uri, clips[2][: len(clips[2]) // 2])
    last = plan.clips[2].model_copy(update={"generation": info.generation})

    with pytest.raises(StitchFailed) as failed:
        ComposeSplice(store.objects).start(plan.model_copy(update={"clips": [*plan.clips[:2], last]}))

    assert (failed.value.segment_index, failed.value.code) == (2, "bad_media")


def offered(plan: StitchPlan, store: Store) -> Offer | Refusal:
    return ComposeSplice(store.objects).offer(plan)


def test_clips_that_conform_are_offered_for_next_to_nothing(disk: Store, clips: list[bytes]) -> None:
    offer = offered(disk.plan(clips), disk)

    assert isinstance(offer, Offer)
    assert 0 < offer.price_micro_usd < 1000
    assert 0 < offer.duration_ms < 5000
    assert "no media byte is moved" in offer.reason


def test_more_clips_cost_more(disk: Store, clips: list[bytes]) -> None:
    few, many = offered(disk.plan(clips), disk), offered(disk.plan(clips * 20), disk)

    assert isinstance(few, Offer)
    assert isinstance(many, Offer)
    assert few.price_micro_usd < many.price_micro_usd
    assert few.duration_ms < many.duration_ms


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"compression": Compression.SMALL}, "a small file was asked for"),
        ({"orientation": Orientation.PORTRAIT}, "clip 1: it is 160x96 and the film is to be portrait (and 2 more)"),
        ({"fail_on_seams": True}, "bad joins are to be errors"),
        ({"loudness": Loudness.R128}, "the film is to be as loud as others"),
        ({"music": "gs://films/m.mp3"}, "music is to play under the clips"),
        ({"output_uri": "gs://another/film.mp4"}, "clip 1 lies in bucket films and the film is to lie in another"),
    ],
)
def test_what_needs_more_than_a_splice_is_refused_with_the_reason(
    disk: Store, clips: list[bytes], wish: dict[str, object], said: str
) -> None:
    answer = offered(disk.plan(clips).model_copy(update=wish), disk)

    assert isinstance(answer, Refusal)
    assert said in answer.reason


def test_clips_that_do_not_conform_are_refused(disk: Store, clips: list[bytes], tmp_path: Path) -> None:
    faster = make_clip(ClipSpec(8, fps="30", frames=FRAMES), tmp_path / "faster.mp4").read_bytes()

    answer = offered(disk.plan([*clips, faster]), disk)

    assert answer == Refusal("clip 4: frame rate 30/1 instead of 24/1")


def test_nothing_goes_on_when_the_call_is_over(disk: Store) -> None:
    engine = ComposeSplice(disk.objects)

    assert engine.name is Engine.SPLICE
    assert engine.poll("1") == Gone()
    engine.cancel("1")


@pytest.fixture(scope="module")
def large_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Give 8 seconds as a model makes them: 4 MB, hard to compress."""
    path = tmp_path_factory.mktemp("large") / "clip.mp4"
    picture = "testsrc2=s=320x180:r=24:d=8,noise=alls=60:allf=t"
    sound = "anoisesrc=r=48000:a=0.2:d=8"
    x264 = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-b:v", "4M", "-maxrate", "4M", "-bufsize", "4M"]
    aac = ["-c:a", "aac", "-b:a", "128k", "-ac", "2"]
    run_ffmpeg(
        ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, *x264, "-pix_fmt", "yuv420p", *aac, str(path)]
    )
    return path.read_bytes()


def test_at_most_one_percent_of_the_film_is_downloaded(cloud: Store, large_clip: bytes) -> None:
    plan = cloud.plan([large_clip] * 15)
    assert cloud.server is not None

    ready = ComposeSplice(cloud.objects).start(plan)

    assert ready.report.size_bytes > 50_000_000
    assert ready.report.sound == "smart"
    assert cloud.server.downloaded_bytes <= ready.report.size_bytes // 100
    assert cloud.server.uploaded_bytes <= ready.report.size_bytes // 100


IN_A_FUNCTION = """
import json, resource, sys
from adapters.compose_splice import ComposeSplice
from adapters.gcs import CloudObjectStore
from adapters.gcs_client import storage_client
from events.plan import StitchPlan

plan = StitchPlan.from_json(sys.stdin.read())
engine = ComposeSplice(CloudObjectStore(lambda: storage_client("demo-longreel")))
ready = engine.start(plan)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"frames": ready.report.frame_count, "peakKib": peak}))
"""


@pytest.fixture(scope="module")
def long_clips(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Give clips with as many frames and packets as real ones have, of few bytes."""
    folder = tmp_path_factory.mktemp("long")
    return [make_clip(ClipSpec(number, frames=192), folder / f"{number}.mp4").read_bytes() for number in (1, 2)]


def test_two_hundred_clips_are_joined_within_the_memory_of_a_small_function(
    cloud: Store, long_clips: list[bytes], tmp_path: Path
) -> None:
    contents = [long_clips[index % 2] for index in range(200)]
    plan = cloud.plan(contents)

    done = subprocess.run(
        [sys.executable, "-c", IN_A_FUNCTION],
        input=plan.to_json(),
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["frames"] == 200 * 192
    assert said["peakKib"] < MEMORY_MAX_KIB
    film = cloud.film(plan)
    assert film.endswith(b"".join(contents))
    assert read_back(BytesReader(film), 200 * 192).frame_count == 200 * 192
    assert cloud.rubbish(plan) == []


names = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=1500)


@given(names)
def test_a_tree_of_parts_holds_every_source_once_in_order_and_makes_no_needless_request(sources: list[str]) -> None:
    tree = compose_tree(sources, lambda number: f"part {number}")

    made: dict[str, list[str]] = {}
    requests = 1
    for level in tree.levels:
        for part in level:
            assert 2 <= len(part.sources) <= SOURCES_MAX
            made[part.uri] = [name for source in part.sources for name in made.get(source, [source])]
            requests += 1
    assert 1 <= len(tree.rest) <= SOURCES_MAX
    assert [name for source in tree.rest for name in made.get(source, [source])] == sources
    assert requests == max(1, ceil((len(sources) - 1) / (SOURCES_MAX - 1)))


@given(st.lists(st.tuples(st.integers(0, 50_000), st.integers(1, 3000)), max_size=20))
def test_merged_spans_cover_what_they_were_made_of_and_little_more(spans: list[tuple[int, int]]) -> None:
    found = list(merged(sorted(spans)))

    wanted = {byte for offset, length in spans for byte in range(offset, offset + length)}
    covered = {byte for offset, length in found for byte in range(offset, offset + length)}
    assert wanted <= covered
    assert len(covered - wanted) <= 2048 * max(0, len(spans) - len(found))
    assert found == sorted(found)


@pytest.mark.parametrize("written", [b"", b"no json", b"[]", b"{}", b'{"planDigest": "x"}'])
def test_a_paper_that_is_no_report_of_this_plan_is_none(disk: Store, clips: list[bytes], written: bytes) -> None:
    assert report_of(disk.plan(clips), written, 1) is None


def test_names_of_what_is_made_on_the_way_lie_below_the_attempt(disk: Store, clips: list[bytes]) -> None:
    plan = disk.plan([clips[index % 3] for index in range(40)])

    ComposeSplice(disk.objects).start(plan)

    made = {info.uri for info in disk.finalized} - {plan.output_uri, plan.report_uri, *(c.uri for c in plan.clips)}
    assert made
    assert all(uri.startswith(f"{JOB_URI}/stitch/1/splice/") for uri in made)
