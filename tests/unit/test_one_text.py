"""A text from the command line or a file as the record that its kind reads."""

from __future__ import annotations

import pytest

from escalade.records import Chat, Labelled, Message, Pair, Question, Record, Related, Tagged, input_text
from escalade.stages.using import record_from_text

RECORDS: list[tuple[str, Record]] = [
    ("classification", Labelled("input:0", "a fine film", "")),
    ("summarization", Pair("input:0", "a long story", "")),
    ("question-answering", Question("input:0", "Who came?", "Anna came.\nBen left.", ())),
    ("relation-extraction", Related("input:0", "Anna works for Acme.\nIn Rome.", "Anna", "Acme", "")),
]


@pytest.mark.parametrize(("kind", "record"), RECORDS)
def test_what_a_record_reads_as_one_text_is_read_as_that_record(kind: str, record: Record) -> None:
    assert record_from_text(kind, input_text(record)) == record  # type: ignore[arg-type]


def test_words_and_turns() -> None:
    assert record_from_text("token-classification", "Anna's here.") == Tagged(
        "input:0", ("Anna's", "here", "."), ("O", "O", "O")
    )
    assert record_from_text("chat", "hi", 3) == Chat("input:3", (Message("user", "hi"), Message("assistant", "")))


def test_a_relation_without_entities_is_no_error() -> None:
    assert record_from_text("relation-extraction", "Anna works.") == Related("input:0", "Anna works.", "", "", "")
