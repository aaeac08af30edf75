"""From predictions to scores: every metric of a kind, with intervals, from one list of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from escalade.catalogue.metrics import metrics_for
from escalade.errors import BadInput
from escalade.evaluate.corpus import Corpus
from escalade.evaluate.metric import Matrix, Statistics, answer_field, is_empty, statistics_of
from escalade.evaluate.statistics import interval
from escalade.protocols import Prediction
from escalade.records import Record, groups_of
from escalade.values import Facts, Score, SplitName


def score(
    name: str,
    predictions: Sequence[Prediction],
    records: Sequence[Record],
    facts: Facts,
    split: SplitName,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[Score, Matrix]:
    """One metric with its interval, and its statistics (a row per record).

    Raises:
        BadInput: The metric is unknown or unfit, the lengths differ, nothing is there to score, a prediction lacks
            what its kind needs, or a value is not finite.
    """
    found = statistics_of(name, predictions, records, facts)
    return scored(found, records, facts, split, seed, confidence), found.rows


def scored(
    found: Statistics,
    records: Sequence[Record],
    facts: Facts,
    split: SplitName,
    seed: int = 0,
    confidence: float = 0.95,
) -> Score:
    """The score of statistics already computed, resampled by the records' groups."""
    inner = interval(
        found.rows,
        list(groups_of(records)),
        found.metric,
        confidence=confidence,
        seed=seed,
    )
    return Score(
        metric=found.metric.name,
        split=split,
        value=inner.value,
        lower=inner.lower,
        upper=inner.upper,
        confidence=confidence,
        n=inner.n,
        clusters=inner.clusters,
        unit=facts.unit,
        resamples=inner.resamples,
        seed=seed,
        signature=found.metric.signature,
    )


def evaluate_all(
    predictions: Sequence[Prediction],
    records: Sequence[Record],
    facts: Facts,
    split: SplitName,
    seed: int = 0,
    confidence: float = 0.95,
    further: Mapping[str, Any] | None = None,
) -> tuple[tuple[Score, ...], dict[str, Matrix], int]:
    """The usual metrics of the kind, and those that are named.

    Args:
        predictions: One per record.
        records: With what is wanted.
        facts: Of the task.
        split: Named in the scores.
        seed: Of the resamples.
        confidence: Of the intervals.
        further: Names of metrics beyond the usual ones, each with the helper that it needs, or None.

    Returns:
        The scores, the statistics of each metric by name, and how many predictions are empty.

    Raises:
        BadInput: As for :func:`score`, or no metric fits the kind.
    """
    wanted: dict[str, Any] = dict.fromkeys(metrics_for(facts.kind, usual=True)) | dict(further or {})
    if not wanted:
        raise BadInput("evaluate.no_metric", place=facts.kind, kind=facts.kind)
    scores: list[Score] = []
    statistics: dict[str, Matrix] = {}
    corpus = Corpus(predictions, records) if answer_field(facts.kind) == "text" else None
    for name, helper in wanted.items():
        found = statistics_of(name, predictions, records, facts, helper=helper, corpus=corpus)
        scores.append(scored(found, records, facts, split, seed, confidence))
        statistics[name] = found.rows
    return tuple(scores), statistics, sum(is_empty(prediction, facts.kind) for prediction in predictions)


def save_statistics(statistics: Mapping[str, Matrix], file: Path) -> None:
    """Writes a matrix per metric as safetensors; the same statistics give the same bytes."""
    save_file({name: np.ascontiguousarray(rows, dtype=np.float64) for name, rows in statistics.items()}, file)


def load_statistics(file: Path) -> dict[str, Matrix]:
    """Reads what :func:`save_statistics` wrote."""
    loaded: dict[str, Matrix] = load_file(file)
    return loaded
