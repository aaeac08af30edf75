"""Metrics of tagged words: F1 over whole entities, and accuracy word by word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from escalade.evaluate.metric import Matrix, Ratio, Setting, ratio
from escalade.protocols import Prediction
from escalade.records import Record, Tagged

Entity = tuple[str, int, int]
"""Type, first word, last word."""

_CLOSED = "OESLU"
"""Prefixes after which nothing goes on: outside, end, single (and their names last, unit)."""
_OPENING = "BSU"


class EntityF1(Ratio):
    """Micro F1 over entities. Statistics: (2 tp, predicted + true, predicted).

    ``conll`` reads tags as conlleval does and asks for the same words and type; ``strict`` reads only what the IOB2
    scheme allows, an entity beginning with B; ``relaxed`` reads as conlleval, and the words need only overlap.
    """

    name = "entity_f1"

    def __init__(self, setting: Setting) -> None:
        self._mode = setting.options.get("mode", "conll")
        match = "overlap" if self._mode == "relaxed" else "exact"
        chunks = "iob2" if self._mode == "strict" else "conll"
        self.signature = f"f1|average:micro|entities:{match}|chunks:{chunks}"

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 3); a word without a tag is outside, and an entity beyond the last word is one too many."""
        read = iob2_entities if self._mode == "strict" else entities
        rows = []
        for prediction, record in zip(predictions, records, strict=True):
            found, true = read(prediction.tags or ()), read(_tags(record))
            both = _overlaps(found, true) if self._mode == "relaxed" else len(set(found) & set(true))
            rows.append((2 * both, len(found) + len(true), len(found)))
        return np.array(rows, dtype=np.float64).reshape(-1, 3)

    def details(self, sums: Matrix) -> dict[str, float]:
        """Precision and recall over all entities."""
        right, found, true = sums[0] / 2, sums[2], sums[1] - sums[2]
        return {"precision": float(ratio(right, found)), "recall": float(ratio(right, true))}


class TagAccuracy(Ratio):
    """Share of the words whose tag is right. Statistics: (right, words)."""

    name = "tag_accuracy"
    signature = "accuracy|per:word"

    def __init__(self, setting: Setting) -> None:
        pass

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 2); a word without a predicted tag is wrong."""
        rows = []
        for prediction, record in zip(predictions, records, strict=True):
            true = _tags(record)
            right = sum(a == b for a, b in zip(prediction.tags or (), true, strict=False))
            rows.append((right, len(true)))
        return np.array(rows, dtype=np.float64).reshape(-1, 2)


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities that a sequence of tags marks, read as conlleval reads it.

    An entity goes on while its type stays and the prefix is inner (I, E); an inner tag with nothing to go on from
    begins an entity.
    """
    found: list[Entity] = []
    last_prefix, last_type, begin = "O", "", 0
    for at, tag in enumerate([*tags, "O"]):
        prefix, kind = tag[:1] or "O", tag[1:].split("-", 1)[-1]
        goes_on = last_prefix not in _CLOSED and prefix not in _OPENING + "O" and kind == last_type
        if not goes_on:
            if last_prefix != "O":
                found.append((last_type, begin, at - 1))
            begin = at
        last_prefix, last_type = prefix, kind
    return found


def iob2_entities(tags: Sequence[str]) -> list[Entity]:
    """The entities of the IOB2 scheme: B, then I of the same type; whatever else is written is outside."""
    found: list[Entity] = []
    open_type: str | None = None
    for at, tag in enumerate(tags):
        prefix, kind = tag[:1], tag[1:].split("-", 1)[-1]
        if prefix == "B":
            found.append((kind, at, at))
            open_type = kind
        elif prefix == "I" and kind == open_type:
            found[-1] = (kind, found[-1][1], at)
        else:
            open_type = None
    return found


def _overlaps(found: Sequence[Entity], true: Sequence[Entity]) -> int:
    """Most pairs of entities of one type that share a word, each entity in one pair."""
    waiting = sorted(true, key=lambda entity: entity[1])
    pairs = 0
    # Entities of one text do not overlap each other, so from left to right the first that fits is the best.
    for kind, first, last in sorted(found, key=lambda entity: entity[1]):
        for at, (other, begin, end) in enumerate(waiting):
            if kind == other and first <= end and begin <= last:
                pairs += 1
                del waiting[at]
                break
    return pairs


def _tags(record: Record) -> tuple[str, ...]:
    return record.tags if isinstance(record, Tagged) else ()
