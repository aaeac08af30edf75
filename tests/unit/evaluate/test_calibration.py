"""Calibration, confusion and relations, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from escalade.errors import BadInput
from escalade.evaluate.metric import load_metric, statistics_of
from escalade.evaluate.metrics.labels import confusion
from escalade.protocols import Prediction
from escalade.records import Labelled, Related
from escalade.values import Facts

FACTS = Facts(kind="classification", labels=("a", "b"))


def test_calibration_error() -> None:
    """Two rows at 0.9, one right: |1 - 1.8| = 0.8; one at 0.6, right: 0.4; together (0.8 + 0.4) / 3."""
    given = (("a", "a", 0.9), ("b", "a", 0.9), ("b", "b", 0.6))
    records = [Labelled(str(i), "t", true) for i, (true, _, _) in enumerate(given)]
    answers = [Prediction(label=said, probabilities={said: p, "-": 1 - p}) for _, said, p in given]
    assert statistics_of("ece", answers, records, FACTS).value == pytest.approx(0.4)
    # In one bin all are taken together: |2 - 2.4| / 3.
    assert statistics_of("ece:bins=1", answers, records, FACTS).value == pytest.approx(0.4 / 3)
    sure = [Prediction(label=said, logprobs=(math.log(p),)) for _, said, p in given]
    assert statistics_of("ece", sure, records, FACTS).value == pytest.approx(0.4)


def test_perfectly_calibrated_and_quite_wrong() -> None:
    records = [Labelled(str(i), "t", "a") for i in range(10)]
    right = [Prediction(label="a", probabilities={"a": 0.8, "b": 0.2})] * 8
    wrong = [Prediction(label="b", probabilities={"a": 0.2, "b": 0.8})] * 2
    assert statistics_of("ece", right + wrong, records, FACTS).value == pytest.approx(0)
    sure = [Prediction(label="b", probabilities={"b": 1.0})] * 10
    assert statistics_of("ece", sure, records, FACTS).value == pytest.approx(1)


def test_calibration_needs_probabilities_and_bins() -> None:
    with pytest.raises(BadInput, match="says no probability") as caught:
        statistics_of("ece", [Prediction(label="a")], [Labelled("7", "t", "a")], FACTS)
    assert caught.value.place == "7"
    for bins in ("0", "-1", "x", "1.5"):
        with pytest.raises(BadInput, match="number of bins"):
            load_metric(f"ece:bins={bins}", FACTS)
    with pytest.raises(BadInput, match="not a finite number"):
        nan = Prediction(label="a", probabilities={"a": math.nan})
        statistics_of("ece", [nan], [Labelled("7", "t", "a")], FACTS)


def test_confusion() -> None:
    found = confusion(["a", "b", None, "invented", "a"], ["a", "a", "b", "b", "new"], ("a", "b"))
    assert np.array_equal(found, [[1, 1, 0], [0, 0, 2], [1, 0, 0]])
    with pytest.raises(BadInput):
        confusion(["a"], [], ("a",))


def relation(true: str, said: str, name: str = "relation_f1", labels: tuple[str, ...] = ("Other", "x", "y")) -> float:
    records = [Related(str(i), "t", "h", "t", {"O": "Other"}.get(label, label)) for i, label in enumerate(true)]
    answers = [Prediction(label={"O": "Other", "-": ""}.get(label, label)) for label in said]
    return statistics_of(name, answers, records, Facts(kind="relation-extraction", labels=labels)).value


def test_relations_without_none() -> None:
    assert relation("xyO", "xyO") == 1
    # Found: x right, y wrong, one claimed where there is none; true: two. F1 = 2 * 1 / (3 + 2).
    assert relation("xxO", "xyy") == pytest.approx(2 / 5)
    # Right about none counts for nothing; an empty answer claims nothing, an invented one does.
    assert relation("OOx", "OOO") == 0
    assert relation("xx", "x-") == pytest.approx(2 / 3) and relation("xx", "xz") == pytest.approx(0.5)


def test_the_label_that_means_none_is_named_or_known() -> None:
    def signature(name: str, *labels: str) -> str:
        return load_metric(name, Facts(kind="relation-extraction", labels=labels)).signature

    assert signature("relation_f1", "no_relation", "x").endswith("without:no_relation")
    assert signature("relation_f1", "N/A", "x").endswith("without:N/A")
    assert signature("relation_f1", "y", "x").endswith("without:-")
    assert signature("relation_f1:none=x", "Other", "x").endswith("without:x")
    with pytest.raises(BadInput, match="no label 'z'"):
        signature("relation_f1:none=z", "x", "y")
