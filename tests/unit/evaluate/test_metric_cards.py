"""The cards: names, fit, defaults, and that each leads to its class."""

from __future__ import annotations

import numpy as np
import pytest

from escalade import messages
from escalade.catalogue.metrics import METRICS, card, default_metric, fitting, metrics_for
from escalade.errors import BadInput
from escalade.evaluate import load_metric
from escalade.values import Facts


@pytest.mark.parametrize("name", METRICS)
def test_each_card_leads_to_its_metric(name: str) -> None:
    entry = card(name)
    for kind in entry.kinds:
        metric = load_metric(name, Facts(kind=kind, labels=("B-X", "O")))
        assert (metric.name, metric.low, metric.high) == (name, entry.low, entry.high)
        assert metric.signature
        assert name in metrics_for(kind)


def test_every_kind_but_embedding_has_a_default_that_fits() -> None:
    for kind in ("classification", "token-classification", "question-answering", "translation", "chat"):
        assert default_metric(kind, Facts(kind=kind)) == fitting(default_metric(kind), kind).name
    with pytest.raises(BadInput, match="no metric of this version grades embedding"):
        default_metric("embedding")


def test_tags_without_spans_are_graded_word_by_word() -> None:
    spans = Facts(kind="token-classification", labels=("B-PER", "I-PER", "O"))
    speech = Facts(kind="token-classification", labels=("NOUN", "VERB", "BASE"))
    assert default_metric("token-classification", spans) == "entity_f1"
    assert default_metric("token-classification", speech) == "tag_accuracy"


@pytest.mark.parametrize(("typed", "meant"), [("rouge-l", "rougeL"), ("Macro F1", "macro_f1"), ("accurcy", "accuracy")])
def test_a_name_nearly_right_is_suggested(typed: str, meant: str) -> None:
    with pytest.raises(BadInput) as caught:
        card(typed, place="tasks[0].target.metric")
    assert caught.value.place == "tasks[0].target.metric"
    assert repr(meant) in caught.value.cure


def test_a_name_quite_unknown_lists_all() -> None:
    with pytest.raises(BadInput) as caught:
        card("zzz")
    assert all(name in caught.value.cure for name in METRICS)


def test_an_unfit_metric_names_those_that_fit() -> None:
    with pytest.raises(BadInput, match="does not fit a classification task") as caught:
        fitting("bleu", "classification", place="here")
    assert "macro_f1" in caught.value.cure
    messages.use("zh")
    assert "不适用于" in str(caught.value)


@pytest.mark.parametrize("name", METRICS)
def test_value_takes_any_leading_axes(name: str) -> None:
    metric = load_metric(name, Facts(kind=METRICS[name].kinds[0], labels=("a", "b")))
    columns = {
        "macro_f1": 9,
        "matthews": 8,
        "bleu": 10,
        "chrf": 18,
        "chrf++": 24,
        "ece": 16,
        "similarity": 5,
        "judge": 3,
    }.get(name, 2)
    sums = np.sort(np.random.default_rng(0).integers(1, 50, size=(3, 4, columns)).astype(np.float64), axis=-1)
    sums[..., -1] += 500 if name == "matthews" else 0
    values = metric.value(sums)
    assert values.shape == (3, 4)
    assert values[1, 2] == metric.value(sums[1, 2])
    assert metric.value(np.zeros(columns)) == 0
