"""Scores texts against references without a project: what the verb ``score`` does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from escalade.catalogue.metrics import card, metrics_for
from escalade.errors import BadInput
from escalade.evaluate.metric import statistics_of
from escalade.evaluate.score import scored
from escalade.protocols import Prediction
from escalade.records import Question
from escalade.values import Facts, Kind

_KIND: Kind = "generation"


def text_score(
    predictions: Sequence[str],
    references: Sequence[str] | Sequence[Sequence[str]],
    metrics: Sequence[str] = (),
    language: str | None = None,
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Compares texts with one or several references each; every row is resampled by itself.

    Args:
        predictions: The texts to score.
        references: For each, its reference or references.
        metrics: Names of metrics of texts; all of them where left out.
        language: ISO 639-1 code of the references; judged by their script where left out.
        confidence: Of the intervals.
        seed: Seed of the resamples.

    Returns:
        ``{"n", "empty", "metrics": {name: {"value", "lower", "upper", "signature"}}, "seconds"}``.

    Raises:
        BadInput: The lengths differ, nothing is there, a row has no reference, or a metric does not compare texts.
    """
    begun = time.perf_counter()
    if len(predictions) != len(references):
        raise BadInput(
            "evaluate.lengths_differ", place="predictions", predictions=len(predictions), records=len(references)
        )
    names = tuple(metrics) or metrics_for(_KIND, usual=True)
    for name in names:
        if _KIND not in card(name, "metrics").kinds:
            raise BadInput(
                "evaluate.not_text_metric", place="metrics", name=name, fitting=", ".join(metrics_for(_KIND))
            )
    records = [_record(row, given) for row, given in enumerate(references, start=1)]
    answers = [Prediction(text=text) for text in predictions]
    facts = Facts(kind=_KIND, language=language or "und")
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        score = scored(statistics_of(name, answers, records, facts), records, facts, "test", seed, confidence)
        found[name] = {
            "value": score.value,
            "lower": score.lower,
            "upper": score.upper,
            "signature": score.signature,
        }
    return {
        "n": len(answers),
        "empty": sum(not text.strip() for text in predictions),
        "metrics": found,
        "seconds": time.perf_counter() - begun,
    }


def _record(row: int, given: str | Sequence[str]) -> Question:
    """References as the accepted answers of a question, the one record that can hold several."""
    references = (given,) if isinstance(given, str) else tuple(given)
    if not references:
        raise BadInput("evaluate.no_references", place=row)
    return Question(id=str(row), question="", context="", answers=references)
