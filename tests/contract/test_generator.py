"""What every generator promises: one clip an order, under the order's own prefix, and an honest answer when asked."""

from __future__ import annotations

from dataclasses import replace

from pipeline.work_ports import ClipReady, Gone, Running, Started
from tests.contract.rigs import GeneratorRig


def landed(generator: GeneratorRig) -> list[str]:
    return [info.uri for info in generator.objects.list(generator.order.output_prefix)]


def test_an_order_ends_in_one_playable_clip(generator: GeneratorRig) -> None:
    answer = generator.generator.submit(generator.order)
    generator.work()

    if isinstance(answer, ClipReady):
        info = generator.objects.stat(answer.clip.uri)
        assert info is not None
        assert info.generation == answer.clip.generation
        assert answer.clip.facts.size_bytes == info.size_bytes
        assert landed(generator) == []
    else:
        (uri,) = landed(generator)
        assert uri.endswith(".mp4")
        assert generator.objects.read(uri, 4, 4) == b"ftyp"


def test_work_that_goes_on_is_running_until_its_clip_lands(generator: GeneratorRig) -> None:
    answer = generator.generator.submit(generator.order)
    if isinstance(answer, ClipReady):
        assert generator.ordered() == 0, "a clip that is there leaves nothing to do"
        return

    assert isinstance(generator.generator.poll(answer.operation), Running)
    generator.work()

    assert isinstance(generator.generator.poll(answer.operation), Gone)
    assert len(landed(generator)) == 1


def test_an_order_given_twice_is_carried_out_once_where_the_generator_says_so(generator: GeneratorRig) -> None:
    answers = [generator.generator.submit(generator.order) for _ in range(2)]

    if not generator.generator.resubmittable:
        # It was bought twice, so each has a name of its own, and nothing that was paid for is out of reach.
        assert answers[0] != answers[1]
        generator.work()
        assert len(landed(generator)) == 2
        return
    assert answers[0] == answers[1]
    assert generator.ordered() <= 1
    generator.work()
    assert len(landed(generator)) <= 1


def test_an_order_given_again_after_its_clip_landed_leaves_the_clip_as_it_is(generator: GeneratorRig) -> None:
    generator.generator.submit(generator.order)
    generator.work()
    before = generator.objects.list(generator.order.output_prefix)

    generator.generator.submit(generator.order)
    generator.work()

    after = generator.objects.list(generator.order.output_prefix)
    assert after == before or (not generator.generator.resubmittable and set(before) < set(after))


def test_another_attempt_is_other_work_under_another_prefix(generator: GeneratorRig) -> None:
    prefix = generator.order.output_prefix.removesuffix("1/") + "2/"
    answers = [
        generator.generator.submit(generator.order),
        generator.generator.submit(replace(generator.order, attempt=2, output_prefix=prefix)),
    ]

    operations = [answer.operation for answer in answers if isinstance(answer, Started)]
    assert len(set(operations)) == len(operations)
    generator.work()
    assert len(landed(generator)) == len(generator.objects.list(prefix)) == (1 if operations else 0)


def test_cancelling_is_safe_whatever_became_of_the_work(generator: GeneratorRig) -> None:
    answer = generator.generator.submit(generator.order)
    operation = answer.operation if isinstance(answer, Started) else "never/started"

    generator.generator.cancel(operation)
    generator.work()
    generator.generator.cancel(operation)
