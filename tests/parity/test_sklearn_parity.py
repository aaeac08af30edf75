"""Metrics of labels beside scikit-learn."""

from __future__ import annotations

import random
import warnings

import pytest
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from escalade.evaluate.metric import load_metric
from escalade.protocols import Prediction
from escalade.records import Labelled
from escalade.values import Facts


def ours(name: str, labels: list[str], true: list[str], found: list[str]) -> float:
    records = [Labelled(str(i), "", label) for i, label in enumerate(true)]
    metric = load_metric(name, Facts(kind="classification", labels=tuple(labels)), records)
    rows = metric.statistics([Prediction(label=label) for label in found], records)
    return float(metric.value(rows.sum(0)))


def draws() -> list[tuple[list[str], list[str], list[str]]]:
    rng = random.Random(0)
    made = []
    for _ in range(120):
        labels = [f"label {i}" for i in range(rng.randrange(1, 9))]
        rows = rng.randrange(1, 60)
        true = [rng.choice(labels[: rng.randrange(1, len(labels) + 1)]) for _ in range(rows)]
        found = [label if rng.random() < rng.choice([0, 0.5, 0.9, 1]) else rng.choice(labels) for label in true]
        made.append((labels, true, found))
    return made


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("accuracy", accuracy_score),
        ("macro_f1", lambda t, f: f1_score(t, f, average="macro", zero_division=0)),
        ("micro_f1", lambda t, f: f1_score(t, f, average="micro", zero_division=0)),
        ("matthews", matthews_corrcoef),
    ],
)
def test_equal(name: str, theirs: object) -> None:
    assert callable(theirs)
    for labels, true, found in draws():
        with warnings.catch_warnings():
            # scikit-learn warns where there is a single label.
            warnings.simplefilter("ignore")
            wanted = theirs(true, found)
        assert ours(name, labels, true, found) == pytest.approx(wanted, abs=1e-12)


def test_a_label_outside_misses_and_adds_no_class() -> None:
    labels, true = ["a", "b"], ["a", "a", "b", "b"]
    found = ["a", "invented", "b", "made up"]
    wanted = f1_score(true, found, labels=labels, average="macro")
    assert ours("macro_f1", labels, true, found) == pytest.approx(wanted)
    assert ours("accuracy", labels, true, found) == 0.5
    assert ours("micro_f1", labels, true, found) == pytest.approx(f1_score(true, found, average="micro"))


def test_a_true_label_never_learnt_is_an_error_even_when_it_is_guessed() -> None:
    labels, true, found = ["a"], ["a", "new"], ["a", "new"]
    assert ours("accuracy", labels, true, found) == 0.5
    assert ours("macro_f1", labels, true, found) == pytest.approx(0.5)
    assert ours("micro_f1", labels, true, found) == 0.5
    assert -1 <= ours("matthews", labels, true, found) <= 1
