"""What a metric is: numbers per item that add up, and a value of their sum.

Means and corpus-level metrics alike are a function of summed statistics (Post 2018 for BLEU; Davison & Hinkley 1997,
section 2.7, calls them sufficient). So a resample, a leave-one-out and a swap between two models all cost one matrix
product, and bootstrap, interval and paired test are written once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from escalade.catalogue.metrics import fitting
from escalade.errors import BadInput
from escalade.evaluate.corpus import Corpus
from escalade.protocols import Prediction
from escalade.records import Record
from escalade.values import Facts, Kind

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """What a metric is bound to; a class named by a metric card is constructed with one."""

    facts: Facts
    records: Sequence[Record] = ()
    """The records that will be scored. Only ``statistics`` and ``signature`` may depend on them: they are left out
    where statistics are at hand already."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Every option of the card with its value."""
    helper: Any = None
    """What the card says the metric needs (an encoder, a judge), the card itself for a metric of the user's own; None
    for the others, and where statistics are at hand already."""
    corpus: Corpus | None = None
    """What several metrics of one call share of their texts; None where a metric stands alone."""


class Metric(Protocol):
    """A metric bound to one task: its options, its labels and the script of its references are settled.

    A metric may also have ``details(sums)``: further numbers by name from the same sums (precision and recall, say).
    """

    name: str
    low: float
    high: float
    signature: str
    """What is computed: tokenizer, smoothing, averaging."""

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """One row of numbers per item, shape (n, k), whose sums decide the value."""
        ...

    def value(self, sums: Matrix) -> Matrix:
        """The metric of summed rows: shape (..., k) to (...)."""
        ...


@dataclass(frozen=True)
class Statistics:
    """A metric and what it found, item by item."""

    metric: Metric
    rows: Matrix
    """Shape (n, k)."""

    @property
    def value(self) -> float:
        """The metric over all items."""
        return float(self.metric.value(self.rows.sum(0)))


class Ratio:
    """Base of metrics whose statistics are (numerator, denominator)."""

    low = 0.0
    high = 1.0

    def value(self, sums: Matrix) -> Matrix:
        """Numerator over denominator; 0 where there is nothing to divide by."""
        return ratio(sums[..., 0], sums[..., 1])


def ratio(above: Matrix, below: Matrix) -> Matrix:
    """Element by element, 0 where ``below`` is 0."""
    return np.divide(above, below, out=np.zeros_like(above, dtype=np.float64), where=below > 0)


def needed(helper: Any, name: str) -> Any:
    """The helper itself.

    Raises:
        BadInput: It was not given.
    """
    if helper is None:
        raise BadInput("evaluate.helper_missing", place=name, name=name)
    return helper


def means(values: Sequence[float]) -> Matrix:
    """The statistics of a plain mean: each value beside a count of one."""
    return np.column_stack([np.asarray(values, dtype=np.float64), np.ones(len(values))])


def load_metric(
    name: str,
    facts: Facts,
    records: Sequence[Record] = (),
    place: object = "",
    helper: Any = None,
    corpus: Corpus | None = None,
) -> Metric:
    """The metric of that name, with its options, for one task.

    Args:
        name: As ``catalogue.metrics.card`` reads it.
        facts: Of the task.
        records: Those that will be scored; may be left out where statistics are at hand already.
        place: Where the name was given; named in errors.
        helper: What the metric's card says it needs.
        corpus: Of the predictions and records, where several metrics share it.

    Raises:
        BadInput: There is no such metric or option, or it does not fit the task's kind.
    """
    card = fitting(name, facts.kind, place)
    module, _, cls = card.path.partition(":")
    helper = card if card.own else helper
    metric: Metric = getattr(import_module(module), cls)(Setting(facts, records, card.settings(), helper, corpus))
    metric.name = card.name
    return metric


def statistics_of(
    name: str,
    predictions: Sequence[Prediction],
    records: Sequence[Record],
    facts: Facts,
    helper: Any = None,
    corpus: Corpus | None = None,
) -> Statistics:
    """Computes one metric's statistics.

    Args:
        name: As ``catalogue.metrics.card`` reads it.
        predictions: One per record.
        records: With what is wanted.
        facts: Of the task.
        helper: What the metric's card says it needs.
        corpus: Of these predictions and records, where several metrics share it.

    Raises:
        BadInput: The metric is unknown or unfit, the lengths differ, nothing is there to score, a prediction lacks
            what its kind needs, or a value is not finite.
    """
    check(predictions, records, facts.kind)
    metric = load_metric(name, facts, records, helper=helper, corpus=corpus)
    rows = metric.statistics(predictions, records)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise BadInput("evaluate.not_finite", place=name, row=int(finite.argmin()) + 1)
    return Statistics(metric, rows)


def details_of(found: Statistics) -> dict[str, float]:
    """Further numbers of a metric over all items, by name; none where it has no ``details``."""
    details: Callable[[Matrix], dict[str, float]] | None = getattr(found.metric, "details", None)
    return details(found.rows.sum(0)) if details else {}


def item_values(metric: Metric, rows: Matrix) -> list[float | None]:
    """The metric of each item by itself; None where an item has none (a judge's reply was unclear, say).

    Args:
        metric: May have ``missing(rows)``, which tells such items.
        rows: Its statistics, shape (n, k).
    """
    values: list[float | None] = np.asarray(metric.value(rows), dtype=np.float64).tolist()
    missing: Callable[[Matrix], NDArray[np.bool_]] | None = getattr(metric, "missing", None)
    if missing is None:
        return values
    return [None if gone else value for value, gone in zip(values, missing(rows), strict=True)]


def check(predictions: Sequence[Prediction], records: Sequence[Record], kind: Kind) -> None:
    """Holds that there is one whole prediction per record.

    Raises:
        BadInput: As for :func:`statistics_of`.
    """
    if len(predictions) != len(records):
        raise BadInput("evaluate.lengths_differ", predictions=len(predictions), records=len(records))
    if not records:
        raise BadInput("evaluate.nothing")
    field = answer_field(kind)
    for row, (prediction, record) in enumerate(zip(predictions, records, strict=True), start=1):
        if getattr(prediction, field) is None:
            raise BadInput("evaluate.prediction_missing", place=record.id, field=field, kind=kind)
        numbers = chain((prediction.probabilities or {}).values(), prediction.logprobs or ())
        if any(map(math.isnan, numbers)):
            raise BadInput("evaluate.not_finite", place=record.id, row=row)


def answer_field(kind: Kind) -> str:
    """The field of a prediction that its kind is graded by."""
    if kind in ("classification", "relation-extraction"):
        return "label"
    if kind == "token-classification":
        return "tags"
    return "vector" if kind == "embedding" else "text"


def is_empty(prediction: Prediction, kind: Kind) -> bool:
    """True where nothing was answered: no label, no tags, or only blanks."""
    answer = getattr(prediction, answer_field(kind))
    return not (answer.strip() if isinstance(answer, str) else answer)
