"""Scores texts against references without a project: what the verb ``score`` does."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from escalade.catalogue.metrics import MetricCard, card, metrics_for
from escalade.errors import BadInput
from escalade.evaluate.comparison import Comparison, compare, corrected, slice_lengths
from escalade.evaluate.corpus import Corpus
from escalade.evaluate.metric import Statistics, details_of, item_values, statistics_of
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
    inputs: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    helpers: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Compares texts with one or several references each.

    Args:
        predictions: The texts to score.
        references: For each, its reference or references.
        metrics: Names of metrics of texts, with options; the usual ones where left out.
        language: ISO 639-1 code of the references; judged by their script where left out.
        items: Give the value of each row too.
        confidence: Of the intervals.
        seed: Seed of the resamples.
        inputs: What each text answers, for metrics that look at it.
        groups: Per row: what it is resampled with; itself where left out.
        helpers: By the name of a metric: what its card says it needs.

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
    if inputs is not None and len(inputs) != len(references):
        raise BadInput("evaluate.lengths_differ", place="inputs", predictions=len(inputs), records=len(references))
    if groups is not None and len(groups) != len(references):
        raise BadInput("evaluate.clusters_differ", place="groups", rows=len(references), clusters=len(groups))
    names = _names(metrics)
    asked = inputs or [""] * len(references)
    records = [_record(row, given, asked[row - 1]) for row, given in enumerate(references, start=1)]
    if groups is not None:
        records = [replace(record, group=group) for record, group in zip(records, groups, strict=True)]
    answers = [Prediction(text=_text(f"predictions, {row}", text)) for row, text in enumerate(predictions, start=1)]
    facts = Facts(kind=_KIND, language=_code(language))
    corpus = Corpus(answers, records)
    begun = time.perf_counter()
    needed = helpers or {}
    found = {name: statistics_of(name, answers, records, facts, needed.get(name), corpus) for name in names}
    seconds = time.perf_counter() - begun
    document: dict[str, Any] = {
        "n": len(answers),
        "empty": sum(not text.strip() for text in predictions),
        "metrics": {name: _entry(each, records, facts, seed, confidence) for name, each in found.items()},
        "seconds": seconds,
    }
    if items:
        document["items"] = {name: item_values(each.metric, each.rows) for name, each in found.items()}
    return document


def _names(metrics: Sequence[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(metrics)) or metrics_for(_KIND, usual=True)
    for name in names:
        _of_texts(name)
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


def text_compare(
    predictions: Mapping[str, Sequence[str]],
    references: Sequence[str] | Sequence[Sequence[str]],
    metrics: Sequence[str] = (),
    language: str | None = None,
    *,
    groups: Sequence[str] | None = None,
    inputs: Sequence[str] | None = None,
    helpers: Mapping[str, Any] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> list[Comparison]:
    """Compares texts of several models with those of the first, on the same references.

    Args:
        predictions: By the model's name: its texts, row by row. The first is what the others are compared with.
        references: For each row, its reference or references.
        metrics: Names of metrics of texts; ROUGE-L where left out.
        language: As for :func:`text_score`.
        groups: Per row: what it is resampled with (a document of several rows, say); itself where left out.
        inputs: What each text answers, for metrics that look at it.
        helpers: By the name of a metric: what its card says it needs.
        resamples: Of each test.
        seed: Of each test.

    Returns:
        A comparison of each further model by each metric, p corrected for all of them.

    Raises:
        BadInput: As for :func:`text_score`.
    """
    facts = Facts(kind=_KIND, language=_code(language))
    if inputs is not None and len(inputs) != len(references):
        raise BadInput("evaluate.lengths_differ", place="inputs", predictions=len(inputs), records=len(references))
    asked = inputs or [""] * len(references)
    records = [_record(row, given, asked[row - 1]) for row, given in enumerate(references, start=1)]
    for name, texts in predictions.items():
        if len(texts) != len(records):
            raise BadInput("evaluate.lengths_differ", place=name, predictions=len(texts), records=len(records))
    if groups is not None and len(groups) != len(records):
        raise BadInput("evaluate.clusters_differ", place="groups", rows=len(records), clusters=len(groups))
    made = []
    for metric in metrics or ("rougeL",):
        card = _of_texts(metric)
        found = {
            name: statistics_of(
                metric, [Prediction(text=text) for text in texts], records, facts, (helpers or {}).get(metric)
            )
            for name, texts in predictions.items()
        }
        (first, one), *others = found.items()
        slices = {"length": slice_lengths([len(record.answers[0]) for record in records])}
        for name, other in others:
            made.append(
                compare(
                    (first, name), (one.rows, other.rows), groups or range(len(records)), one.metric, slices,
                    rising=card.rising, resamples=resamples, seed=seed,
                )
            )  # fmt: skip
    return corrected(made)


def _of_texts(name: str) -> MetricCard:
    """The card of a metric that compares texts.

    Raises:
        BadInput: It does not, or there is none of this name.
    """
    found = card(name, "metrics")
    if _KIND not in found.kinds:
        raise BadInput("evaluate.not_text_metric", place="metrics", name=name, fitting=", ".join(metrics_for(_KIND)))
    return found


def _record(row: int, given: str | Sequence[str], asked: str = "") -> Question:
    """References as the accepted answers of a question, the one record that can hold several."""
    several = given if isinstance(given, list | tuple) else (given,)
    references = tuple(_text(f"references, {row}", text) for text in several)
    if not references:
        raise BadInput("evaluate.no_references", place=row)
    return Question(id=str(row), question=asked, context="", answers=references)


def _text(place: str, given: Any) -> str:
    """The text itself; what tables put for an empty cell (NaN) is none."""
    if not isinstance(given, str):
        raise BadInput("evaluate.row_no_text", place=place, found=repr(given)[:60])
    return given
