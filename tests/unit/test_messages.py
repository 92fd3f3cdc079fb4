"""Messages on the wire: camelCase, versioned, forgiving about what is new and strict about what is missing."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import BadMessage
from events.messages import MODEL_OF_TOPIC, TOPIC_OF_MODEL, Message, ObjectFinalized, Requested, SegmentDone, Topic
from events.wire import SCHEMA_VERSION
from tests.unit.samples import value_of

every_topic = pytest.mark.parametrize("topic", Topic, ids=str)


def test_every_topic_has_one_model_and_every_model_one_topic() -> None:
    assert set(MODEL_OF_TOPIC) == set(Topic)
    assert {model: topic for topic, model in MODEL_OF_TOPIC.items()} == TOPIC_OF_MODEL
    assert len(TOPIC_OF_MODEL) == len(Topic)


@every_topic
@given(data=st.data())
def test_whatever_is_published_is_read_as_it_was(topic: Topic, data: st.DataObject) -> None:
    message = data.draw(_messages(topic))

    assert MODEL_OF_TOPIC[topic].from_json(message.to_json()) == message
    assert json.loads(message.to_json()) == message.to_wire()


def _messages(topic: Topic) -> st.SearchStrategy[Message]:
    """Give messages whose numbers and free texts are anything, and whose other fields are those of the sample."""
    model, sample = MODEL_OF_TOPIC[topic], value_of(topic)
    chances: dict[str, st.SearchStrategy[object]] = {}
    for name, field in model.model_fields.items():
        if name == "schema_version":
            chances[name] = st.just(SCHEMA_VERSION)
        elif field.annotation is int:
            chances[name] = st.integers(1, 2**53)
        elif field.annotation is str and name not in ("job_id",):
            chances[name] = st.text()
        elif field.is_required():
            chances[name] = st.just(sample[str(field.alias)])
        else:
            chances[name] = st.sampled_from([None, sample[str(field.alias)]])
    return st.fixed_dictionaries(chances).map(model.model_validate)


@every_topic
def test_field_names_on_the_wire_are_in_camel_case(topic: Topic) -> None:
    wire = MODEL_OF_TOPIC[topic].model_validate(value_of(topic)).to_wire()

    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z]*)*", name) for name in wire)


@every_topic
def test_a_message_says_which_version_it_is_written_in(topic: Topic) -> None:
    wire = MODEL_OF_TOPIC[topic].model_validate({**value_of(topic), "schemaVersion": 1}).to_wire()

    assert wire["schemaVersion"] == SCHEMA_VERSION


@every_topic
def test_a_message_of_a_newer_version_is_refused_and_says_what_to_do(topic: Topic) -> None:
    text = json.dumps({**value_of(topic), "schemaVersion": SCHEMA_VERSION + 1})

    with pytest.raises(BadMessage, match=r"field schemaVersion is 2, but .* reads versions up to 1; update Longreel"):
        MODEL_OF_TOPIC[topic].from_json(text)


@every_topic
def test_a_field_that_a_newer_writer_added_is_ignored(topic: Topic) -> None:
    model = MODEL_OF_TOPIC[topic]

    assert model.from_json(json.dumps({**value_of(topic), "mood": {"deep": []}})) == model.model_validate(
        value_of(topic)
    )


@every_topic
def test_a_missing_field_is_refused_by_its_name_on_the_wire(topic: Topic) -> None:
    model = MODEL_OF_TOPIC[topic]
    for field in model.model_fields.values():
        if field.is_required():
            without = {name: value for name, value in value_of(topic).items() if name != field.alias}
            with pytest.raises(BadMessage, match=f"^read {model.__name__}: field {field.alias} is missing$"):
                model.from_json(json.dumps(without))


def test_a_wrong_field_deep_inside_is_named_by_its_whole_path() -> None:
    value = value_of("segment_done")
    del value["clip"]["facts"]["widthPx"]

    with pytest.raises(BadMessage, match=r"field clip\.facts\.widthPx is missing"):
        SegmentDone.from_json(json.dumps(value))


@every_topic
@given(text=st.one_of(st.text(), st.binary(), st.text(st.characters(categories=["Cs"]), min_size=1)))
def test_noise_is_refused_and_never_breaks_the_reader(topic: Topic, text: str | bytes) -> None:
    with pytest.raises(BadMessage):
        MODEL_OF_TOPIC[topic].from_json(text)


@pytest.mark.parametrize("job_id", ["", "job_", "job_ABCDEF", "job_abc123\n", "../job_abc123", "job_abc 123", "7"])
def test_a_job_id_that_could_be_a_path_is_refused(job_id: str) -> None:
    with pytest.raises(BadMessage, match="field jobId should look like job_"):
        Requested.from_json(json.dumps({"jobId": job_id}))


def test_cloud_storages_own_notification_is_read_though_it_writes_numbers_as_texts() -> None:
    """Source: JSON API, resource `storage#object`: `generation` and `size` are strings, and there is much more."""
    text = json.dumps(
        {
            "kind": "storage#object",
            "id": "longreel-media/jobs/x/1767268800123456",
            "bucket": "longreel-media",
            "name": "jobs/job_abc123/output/1/film.mp4",
            "generation": "1767268800123456",
            "metageneration": "1",
            "size": "9120044",
            "contentType": "video/mp4",
        }
    )

    read = ObjectFinalized.from_json(text)

    assert (read.generation, read.size) == (1767268800123456, 9120044)


def test_a_message_cannot_be_changed() -> None:
    message = Requested(job_id="job_abc123")

    with pytest.raises(ValueError, match="frozen"):
        message.job_id = "job_other1"
