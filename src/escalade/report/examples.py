"""Test rows with what the kept attempt answered, the worst answers first: what a score cannot show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from escalade import messages
from escalade.catalogue.metrics import card
from escalade.evaluate import item_values, load_metric, load_statistics
from escalade.ledger import Ledger, Run
from escalade.records import RECORD_OF, Question, Record, Tagged, from_json, input_text, output_text
from escalade.report import format
from escalade.report.lineage import read_lines
from escalade.values import Facts

SHOWN = 10
_LONGEST = 220.0
"""Of an input, in ems: about 350 Latin letters, or 220 Chinese ones."""


@dataclass(frozen=True)
class Example:
    """One answer beside what was wanted."""

    id: str
    right: bool
    grade: str
    input: str
    reference: str
    output: str


@dataclass(frozen=True)
class ExamplesView:
    """The answers shown, and how many of all are like them."""

    summary: str
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class _Answer:
    """One row, its prediction and how good it is: ``goodness`` orders, 1 is right."""

    record: Record
    said: Mapping[str, Any]
    goodness: float
    right: bool
    grade: str


def examples_view(test: Run | None, metric: str, ledger: Ledger) -> ExamplesView | None:
    """Ten answers of an evaluation, worst first; None where the ledger does not hold them.

    Args:
        test: The evaluate run.
        metric: By which generated texts are ordered.
        ledger: Where predictions and rows lie.
    """
    if test is None:
        return None
    facts = Facts.model_validate({**test.inputs["facts"], "labels": tuple(test.inputs["facts"].get("labels", ()))})
    folder = ledger.path(str(test.output["predictions"]))
    cls = RECORD_OF[facts.kind]
    rows = read_lines(ledger.path(str(test.inputs["split"]["digest"])) / "records.jsonl")
    records = {str(row["id"]): from_json(cls, row) for row in rows}
    said = [line for line in read_lines(folder / "predictions.jsonl") if str(line.get("id")) in records]
    if not said:
        return None
    answers = _graded([records[str(line["id"])] for line in said], said, facts, metric, folder)
    worst = sorted(range(len(answers)), key=lambda i: (answers[i].goodness, i))[:SHOWN]
    right = sum(answer.right for answer in answers)
    key = "report.examples_right" if facts.kind in _BY_LABEL else "report.examples_equal"
    summary = messages.text(
        key, shown=len(worst), total=format.count(len(answers)), wrong=format.count(len(answers) - right)
    )
    return ExamplesView(summary, tuple(_example(answers[i]) for i in worst))


_BY_LABEL = ("classification", "relation-extraction", "token-classification")


def _graded(
    records: Sequence[Record], said: Sequence[Mapping[str, Any]], facts: Facts, metric: str, folder: Path
) -> list[_Answer]:
    """Labels by the probability given to the right one, tags by the share that is right, texts by the metric."""
    if facts.kind in ("classification", "relation-extraction"):
        return [_label(record, line) for record, line in zip(records, said, strict=True)]
    if facts.kind == "token-classification":
        return [_tags(record, line) for record, line in zip(records, said, strict=True)]
    grades = _item_scores(folder, metric, facts, len(said))
    return [_text(record, line, grade, metric) for record, line, grade in zip(records, said, grades, strict=True)]


def _label(record: Record, said: Mapping[str, Any]) -> _Answer:
    wanted, given = output_text(record), said.get("label")
    probabilities = said.get("probabilities") or {}
    right = given == wanted
    share = probabilities.get(wanted)
    goodness = (1.0 if right else 0.0) + (float(share) if share is not None else 0.0) / 2
    grade = "" if share is None else messages.text("report.given_to_right", probability=format.probability(share))
    return _Answer(record, said, goodness, right, grade)


def _tags(record: Record, said: Mapping[str, Any]) -> _Answer:
    wanted = record.tags if isinstance(record, Tagged) else ()
    given = tuple(said.get("tags") or ())
    hits = sum(a == b for a, b in zip(wanted, given, strict=False))
    grade = messages.text("report.tags_right", right=hits, total=len(wanted))
    return _Answer(record, said, hits / max(1, len(wanted)), wanted == given, grade)


def _text(record: Record, said: Mapping[str, Any], grade: float | None, metric: str) -> _Answer:
    wanted = record.answers if isinstance(record, Question) else (output_text(record),)
    right = str(said.get("text") or "").strip() in {text.strip() for text in wanted}
    goodness = float(right)
    if grade is not None:
        goodness = grade if card(metric).rising else -grade
    return _Answer(record, said, goodness, right, "" if grade is None else f"{metric} {format.score(grade)}")


def _item_scores(folder: Path, metric: str, facts: Facts, count: int) -> Sequence[float | None]:
    """The deciding metric of each row by itself; None where it was not kept."""
    file = folder / "statistics.safetensors"
    rows = load_statistics(file).get(metric) if file.is_file() else None
    if rows is None or len(rows) != count:
        return [None] * count
    return item_values(load_metric(metric, facts), rows)


def _example(answer: _Answer) -> Example:
    record, said = answer.record, answer.said
    if isinstance(record, Tagged):
        wanted, given = _marked(record.tokens, record.tags), _marked(record.tokens, said.get("tags") or ())
    else:
        answers = record.answers if isinstance(record, Question) else (output_text(record),)
        wanted, given = " | ".join(answers), str(said.get("label") or said.get("text") or "")
    return Example(
        id=format.shorten(record.id, 60),
        right=answer.right,
        grade=answer.grade,
        input=format.fit(input_text(record), _LONGEST, 1),
        reference=format.fit(wanted, 0.8 * _LONGEST, 1) or format.ABSENT,
        output=format.fit(given, 0.8 * _LONGEST, 1) or messages.text("report.empty"),
    )


def _marked(tokens: Sequence[str], tags: Sequence[str]) -> str:
    """The words that carry a tag, each with it; nothing for words outside."""
    return "  ".join(f"{token}/{tag}" for token, tag in zip(tokens, tags, strict=False) if tag != "O") or format.ABSENT
