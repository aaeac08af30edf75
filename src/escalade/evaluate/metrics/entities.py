"""Metrics of tagged words: F1 over whole entities, and accuracy word by word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from escalade.evaluate.metric import Matrix, Ratio, Setting
from escalade.protocols import Prediction
from escalade.records import Record, Tagged

Entity = tuple[str, int, int]
"""Type, first word, last word."""

_CLOSED = "OESLU"
"""Prefixes after which nothing goes on: outside, end, single (and their names last, unit)."""
_OPENING = "BSU"


class EntityF1(Ratio):
    """Micro F1 over entities, right where span and type are. Statistics: (2 tp, predicted + true)."""

    name = "entity_f1"
    signature = "f1|average:micro|entities:exact|chunks:conll"

    def __init__(self, setting: Setting) -> None:
        pass

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 2); a word without a tag is outside, and an entity beyond the last word is one too many."""
        rows = []
        for prediction, record in zip(predictions, records, strict=True):
            found, true = set(entities(prediction.tags or ())), set(entities(_tags(record)))
            rows.append((2 * len(found & true), len(found) + len(true)))
        return np.array(rows, dtype=np.float64).reshape(-1, 2)


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


def _tags(record: Record) -> tuple[str, ...]:
    return record.tags if isinstance(record, Tagged) else ()
