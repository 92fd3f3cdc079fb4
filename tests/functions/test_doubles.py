"""The paid generator of these tests keeps the promises that every generator keeps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adapters.local import BUCKET
from events.names import segment_prefix
from events.requests import PromptSpec, SegmentSpec, Settings
from pipeline.work_ports import RenderOrder
from tests.contract import test_generator as contract
from tests.contract.rigs import GeneratorRig
from tests.functions.doubles import operation_of
from tests.functions.world import World


@pytest.fixture
def rig(world: World) -> GeneratorRig:
    order = RenderOrder(
        job_id="job_abc123",
        segment_index=0,
        segment_count=1,
        attempt=1,
        spec=SegmentSpec(scene=PromptSpec(prompt="A lighthouse")),
        settings=Settings(),
        output_prefix=f"gs://{BUCKET}/{segment_prefix('job_abc123', 0, 1)}",
    )

    def work() -> None:
        for each in world.paid.bought:
            if not world.paid.has_landed(each):
                world.paid.land(each.job_id, each.segment_index, each.attempt)

    return GeneratorRig(world.paid, order, work, world.objects, lambda: len(world.paid.bought))


@pytest.mark.parametrize(
    "promise",
    [
        contract.test_an_order_ends_in_one_playable_clip,
        contract.test_work_that_goes_on_is_running_until_its_clip_lands,
        contract.test_an_order_given_again_after_its_clip_landed_leaves_the_clip_as_it_is,
        contract.test_another_attempt_is_other_work_under_another_prefix,
        contract.test_cancelling_is_safe_whatever_became_of_the_work,
    ],
)
def test_the_paid_generator_keeps_the_contract(rig: GeneratorRig, promise: Callable[[GeneratorRig], None]) -> None:
    promise(rig)


def test_the_same_order_given_twice_is_paid_twice(rig: GeneratorRig, world: World) -> None:
    assert not rig.generator.resubmittable
    for _ in range(2):
        rig.generator.submit(rig.order)

    assert rig.ordered() == 2
    assert [operation_of(order) for order in world.paid.bought] == ["paid/job_abc123/0/1"] * 2
