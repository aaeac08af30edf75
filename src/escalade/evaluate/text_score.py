"""Scores texts against references without a project: what the verb ``score`` does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from escalade.catalogue.metrics import card, metrics_for
from escalade.errors import BadInput
from escalade.evaluate.corpus import Corpus
from escalade.evaluate.metric import Statistics, details_of, statistics_of
from escalade.evaluate.score import scored
from escalade.evaluate.script import LANGUAGES
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
    items: bool = False,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Compares texts with one or several references each; every row is resampled by itself.

    Args:
        predictions: The texts to score.
        references: For each, its reference or references.
        metrics: Names of metrics of texts, with options; the usual ones where left out.
        language: ISO 639-1 code of the references; judged by their script where left out.
        items: Give the value of each row too.
        confidence: Of the intervals.
        seed: Seed of the resamples.

    Returns:
        ``{"n", "empty", "metrics": {name: {"value", "lower", "upper", "signature", ...}}, "seconds"}``: further
        numbers of a metric stand beside its value, as precision and recall; ``seconds`` is the time it took to split
        and compare the texts, without the resampling of intervals. With ``items`` also ``"items": {name: [value of
        each row]}``.

    Raises:
        BadInput: The lengths differ, nothing is there, a row has no reference or is no text, the language is unknown,
            or a metric does not compare texts.
    """
    if len(predictions) != len(references):
        raise BadInput(
            "evaluate.lengths_differ", place="predictions", predictions=len(predictions), records=len(references)
        )
    names = _names(metrics)
    records = [_record(row, given) for row, given in enumerate(references, start=1)]
    answers = [Prediction(text=_text(f"predictions, {row}", text)) for row, text in enumerate(predictions, start=1)]
    facts = Facts(kind=_KIND, language=_code(language))
    corpus = Corpus(answers, records)
    begun = time.perf_counter()
    found = {name: statistics_of(name, answers, records, facts, corpus=corpus) for name in names}
    seconds = time.perf_counter() - begun
    document: dict[str, Any] = {
        "n": len(answers),
        "empty": sum(not text.strip() for text in predictions),
        "metrics": {name: _entry(each, records, facts, seed, confidence) for name, each in found.items()},
        "seconds": seconds,
    }
    if items:
        document["items"] = {name: each.metric.value(each.rows).tolist() for name, each in found.items()}
    return document


def _names(metrics: Sequence[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(metrics)) or metrics_for(_KIND, usual=True)
    for name in names:
        if _KIND not in card(name, "metrics").kinds:
            fitting = ", ".join(metrics_for(_KIND))
            raise BadInput("evaluate.not_text_metric", place="metrics", name=name, fitting=fitting)
    return names


def _entry(
    found: Statistics, records: Sequence[Question], facts: Facts, seed: int, confidence: float
) -> dict[str, Any]:
    score = scored(found, records, facts, "test", seed, confidence)
    entry = {"value": score.value, "lower": score.lower, "upper": score.upper, "signature": score.signature}
    return entry | details_of(found)


def _code(language: str | None) -> str:
    """``zh-CN`` as ``zh``."""
    code = (language or "und").replace("_", "-").partition("-")[0].lower()
    if code not in LANGUAGES:
        raise BadInput("evaluate.language_unknown", place="language", given=language)
    return code


def _record(row: int, given: str | Sequence[str]) -> Question:
    """References as the accepted answers of a question, the one record that can hold several."""
    several = given if isinstance(given, list | tuple) else (given,)
    references = tuple(_text(f"references, {row}", text) for text in several)
    if not references:
        raise BadInput("evaluate.no_references", place=row)
    return Question(id=str(row), question="", context="", answers=references)


def _text(place: str, given: Any) -> str:
    """The text itself; what tables put for an empty cell (NaN) is none."""
    if not isinstance(given, str):
        raise BadInput("evaluate.row_no_text", place=place, found=repr(given)[:60])
    return given
