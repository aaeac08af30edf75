"""Entities and their F1 beside seqeval."""

from __future__ import annotations

import random
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.evaluate.metric import load_metric
from escalade.evaluate.metrics.entities import entities
from escalade.protocols import Prediction
from escalade.records import Tagged
from escalade.values import Facts

sequence_labeling = pytest.importorskip("seqeval.metrics.sequence_labeling")
IOB2 = pytest.importorskip("seqeval.scheme").IOB2
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "E-PER", "S-LOC", "B", "I", "B-A-B", "I-A-B"]


def f1(true: list[list[str]], found: list[list[str]]) -> float:
    with warnings.catch_warnings():
        # seqeval warns where there is nothing to find and where a tag has no type.
        warnings.simplefilter("ignore")
        return float(sequence_labeling.f1_score(true, found))


def ours(true: list[list[str]], found: list[list[str]], name: str = "entity_f1") -> float:
    records = [Tagged(str(i), tuple("w" * len(tags)), tuple(tags)) for i, tags in enumerate(true)]
    metric = load_metric(name, Facts(kind="token-classification", labels=tuple(TAGS)), records)
    rows = metric.statistics([Prediction(tags=tuple(tags)) for tags in found], records)
    return float(metric.value(rows.sum(0)))


def test_corpora() -> None:
    rng = random.Random(0)
    for _ in range(300):
        lengths = [rng.randrange(1, 9) for _ in range(rng.randrange(1, 6))]
        true = [[rng.choice(TAGS) for _ in range(n)] for n in lengths]
        found = [[tag if rng.random() < 0.6 else rng.choice(TAGS) for tag in tags] for tags in true]
        assert ours(true, found) == pytest.approx(f1(true, found), abs=1e-12)


def test_shorter_answers_are_padded() -> None:
    true = [["B-PER", "I-PER", "O", "B-LOC"]]
    assert ours(true, [["B-PER", "I-PER"]]) == pytest.approx(f1(true, [["B-PER", "I-PER", "O", "O"]]))
    assert ours(true, [[]]) == 0
    assert ours([["B-PER"]], [["B-PER", "B-PER"]]) == pytest.approx(f1([["B-PER", "O"]], [["B-PER", "B-PER"]]))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(TAGS), max_size=12))
def test_chunks(tags: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sequence_labeling.get_entities(list(tags))
    assert [(kind or "_", first, last) for kind, first, last in entities(tags)] == theirs


def test_strict_is_seqevals_strict() -> None:
    rng = random.Random(0)
    iob2 = [tag for tag in TAGS if tag[0] in "OBI"]
    for _ in range(300):
        lengths = [rng.randrange(1, 9) for _ in range(rng.randrange(1, 6))]
        true = [[rng.choice(iob2) for _ in range(n)] for n in lengths]
        found = [[tag if rng.random() < 0.6 else rng.choice(iob2) for tag in tags] for tags in true]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = sequence_labeling.f1_score(true, found, mode="strict", scheme=IOB2)
        assert ours(true, found, "entity_f1:mode=strict") == pytest.approx(wanted, abs=1e-12), (true, found)


def test_relaxed_pairs_entities_that_overlap() -> None:
    """Of two entities found in one true one, one is right; a span of another type is not."""
    true = [["B-PER", "I-PER", "I-PER", "O", "B-LOC"]]
    assert ours(true, [["B-PER", "O", "B-PER", "O", "O"]], "entity_f1:mode=relaxed") == pytest.approx(2 / 4)
    assert ours(true, [["O", "B-PER", "I-PER", "I-PER", "B-PER"]], "entity_f1:mode=relaxed") == pytest.approx(2 / 4)
    assert ours(true, true, "entity_f1:mode=relaxed") == 1
