"""The Cloud Run engine as a stitcher, ready for the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adapters.routed_stitcher import RoutedStitcher
from events.errors import StitchFailed
from events.plan import Engine
from pipeline.work_ports import Stopped
from tests.cloud.run_bench import ALIKE, RunBench, run_bench
from tests.contract.rigs import StitcherRig


def _work(bench: RunBench, stitcher: RoutedStitcher) -> None:
    """Let what was ordered be done; what came to nothing is raised, as the state machine hears it from a poll."""
    bench.run.release()
    bench.run.wait()
    bench.run.hold()
    for execution in bench.run.executions:
        folder = next(each for each in execution.args if each.endswith("/plan.json")).removesuffix("/plan.json")
        answer = stitcher.poll(f"cpu:{execution.path}@{folder}")
        if isinstance(answer, Stopped) and answer.code != "execution_cancelled":
            raise StitchFailed(answer.message, code=answer.code, segment_index=answer.bad_segment_index)


def cloud_run_stitcher(folder: Path) -> Iterator[StitcherRig]:
    with run_bench(folder) as bench:
        # Executions wait for `work`, so that a test sees them running.
        bench.run.hold()
        stitcher = RoutedStitcher([bench.engine(Engine.CPU)], bench.clock)
        plan = bench.plan(ALIKE)
        yield StitcherRig(
            stitcher=stitcher,
            objects=bench.objects,
            bucket=plan.output_uri.removeprefix("gs://").partition("/")[0],
            clips=[clip.uri for clip in plan.clips],
            work=lambda: _work(bench, stitcher),
            ordered=lambda: bench.run.log.count("run"),
        )
