"""Metrics of labels and tags on small cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from escalade.evaluate.metric import statistics_of
from escalade.evaluate.metrics.entities import entities
from escalade.protocols import Prediction
from escalade.records import Labelled, Related, Tagged
from escalade.values import Facts

FACTS = Facts(kind="classification", labels=("a", "b"))


def rows(true: str, found: str) -> tuple[list[Prediction], list[Labelled]]:
    return [Prediction(label=x) for x in found], [Labelled(str(i), "t", x) for i, x in enumerate(true)]


def test_by_hand() -> None:
    answers, records = rows("aabb", "abbb")
    # a: tp 1, fp 0, fn 1, F1 2/3; b: tp 2, fp 1, fn 0, F1 4/5
    assert statistics_of("macro_f1", answers, records, FACTS).value == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert statistics_of("accuracy", answers, records, FACTS).value == 0.75
    assert statistics_of("micro_f1", answers, records, FACTS).value == 0.75
    # covariance 3*4 - (1*2 + 3*2) = 4; sqrt((16 - 10) (16 - 8)) = sqrt(48)
    assert statistics_of("matthews", answers, records, FACTS).value == pytest.approx(4 / np.sqrt(48))


def test_always_the_same_label_correlates_with_nothing() -> None:
    answers, records = rows("aabb", "aaaa")
    assert statistics_of("matthews", answers, records, FACTS).value == 0
    answers, records = rows("aaaa", "aaaa")
    assert statistics_of("matthews", answers, records, FACTS).value == 0


def test_statistics_add_up_row_by_row() -> None:
    answers, records = rows("aabbab", "abbbaz")
    for name in ("macro_f1", "accuracy", "micro_f1", "matthews"):
        whole = statistics_of(name, answers, records, FACTS)
        parts = [statistics_of(name, answers[i : i + 2], records[i : i + 2], FACTS).rows for i in (0, 2, 4)]
        assert np.array_equal(whole.rows, np.vstack(parts))


def test_relations_are_labels() -> None:
    record = Related("0", "x y", "x", "y", "a")
    facts = Facts(kind="relation-extraction", labels=("a",))
    assert statistics_of("macro_f1", [Prediction(label="a")], [record], facts).value == 1


def test_entities_by_hand() -> None:
    assert entities(["B-X", "I-X", "O", "I-Y", "I-Z", "B-Z"]) == [("X", 0, 1), ("Y", 3, 3), ("Z", 4, 4), ("Z", 5, 5)]
    assert entities([]) == [] and entities([""]) == [] and entities(["O", "O"]) == []


def test_tags() -> None:
    facts = Facts(kind="token-classification", labels=("B-X", "I-X", "O"))
    record = Tagged("0", ("u", "v", "w"), ("B-X", "I-X", "O"))

    def value(name: str, *tags: str) -> float:
        return statistics_of(name, [Prediction(tags=tags)], [record], facts).value

    assert value("entity_f1", "B-X", "I-X", "O") == 1
    assert value("entity_f1", "B-X", "O", "O") == 0, "half an entity is none"
    assert value("entity_f1", "B-X", "I-X", "B-X") == pytest.approx(2 / 3)
    assert value("tag_accuracy", "B-X", "O", "O") == pytest.approx(2 / 3)
    assert value("tag_accuracy", "B-X") == pytest.approx(1 / 3), "a word without a tag is wrong"
    assert value("tag_accuracy", "B-X", "I-X", "O", "O", "O") == 1
