"""From predictions to scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from escalade.errors import BadInput
from escalade.evaluate import evaluate_all, load_statistics, save_statistics, score, statistics_of
from escalade.protocols import Prediction
from escalade.records import Labelled, Pair, Tagged
from escalade.values import Facts

FACTS = Facts(kind="classification", labels=("a", "b"), unit="group")
RECORDS = [Labelled(f"test:{i}", "t", "ab"[i % 2], group=f"g{i % 5}") for i in range(30)]
ANSWERS = [Prediction(label="a" if i % 3 else r.label) for i, r in enumerate(RECORDS)]


def test_score_says_what_it_is() -> None:
    found, rows = score("accuracy", ANSWERS, RECORDS, FACTS, "test", seed=7)
    assert (found.metric, found.split, found.n, found.clusters, found.unit, found.seed) == (
        "accuracy",
        "test",
        30,
        5,
        "group",
        7,
    )
    assert found.lower < found.value < found.upper and found.confidence == 0.95
    assert found.value == rows[:, 0].sum() / rows[:, 1].sum()


def test_all_metrics_of_the_kind() -> None:
    scores, statistics, empty = evaluate_all(ANSWERS, RECORDS, FACTS, "validation")
    assert [s.metric for s in scores] == list(statistics) == ["macro_f1", "accuracy", "micro_f1", "matthews"]
    assert empty == 0 and all(len(rows) == 30 for rows in statistics.values())


def test_empty_answers_are_counted_and_wrong() -> None:
    records = [Pair("0", "in", "out"), Pair("1", "in", "out")]
    scores, _, empty = evaluate_all(
        [Prediction(text=" \n"), Prediction(text="out")], records, Facts(kind="summarization"), "test"
    )
    assert empty == 1
    assert {s.metric: s.value for s in scores}["rouge1"] == 0.5
    labels = [Prediction(label=""), Prediction(label="a")]
    assert evaluate_all(labels, RECORDS[:2], FACTS, "test")[2] == 1
    tagged = [Tagged("0", ("w",), ("O",))]
    assert evaluate_all([Prediction(tags=())], tagged, Facts(kind="token-classification"), "test")[2] == 1


def test_statistics_survive_the_disk_byte_for_byte(tmp_path: Path) -> None:
    _, statistics, _ = evaluate_all(ANSWERS, RECORDS, FACTS, "test")
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    save_statistics(statistics, one)
    save_statistics(dict(reversed(statistics.items())), two)
    assert one.read_bytes() == two.read_bytes()
    loaded = load_statistics(one)
    assert set(loaded) == set(statistics)
    assert all(np.array_equal(loaded[name], rows) for name, rows in statistics.items())


def test_bad_input() -> None:
    with pytest.raises(BadInput, match="29 predictions for 30 records"):
        statistics_of("accuracy", ANSWERS[1:], RECORDS, FACTS)
    with pytest.raises(BadInput, match="nothing to score"):
        statistics_of("accuracy", [], [], FACTS)
    with pytest.raises(BadInput, match="test:1: the prediction has no label, which a classification task needs"):
        statistics_of("accuracy", [ANSWERS[0], Prediction(text="a"), *ANSWERS[2:]], RECORDS, FACTS)
    broken = [Prediction(label="a", probabilities={"a": float("nan")}), *ANSWERS[1:]]
    with pytest.raises(BadInput, match="row 1 holds"):
        statistics_of("accuracy", broken, RECORDS, FACTS)
    with pytest.raises(BadInput, match="does not fit a classification task"):
        statistics_of("bleu", ANSWERS, RECORDS, FACTS)
    with pytest.raises(BadInput, match="no metric of this version grades embedding"):
        evaluate_all([Prediction(vector=(1.0,))], [Pair("0", "a", "b")], Facts(kind="embedding"), "test")
