"""Corpus chrF2 (Popović 2015) as sacrebleu computes it: character 1- to 6-grams, blanks removed, recall doubled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from escalade.evaluate.metric import Matrix, Setting, ratio, references_of
from escalade.protocols import Prediction
from escalade.records import Record

_ORDERS = 6
_FACTOR = 4.0
"""Beta squared."""


class ChrF:
    """Statistics: n-grams of the answer, of the reference, and shared, of each order; 18 columns.

    Of several references the one with the best score counts.
    """

    name = "chrf"
    low = 0.0
    high = 100.0
    signature = "case:mixed|eff:yes|nc:6|nw:0|space:no"

    def __init__(self, setting: Setting) -> None:
        pass

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 18)."""
        rows = np.zeros((len(records), 3 * _ORDERS))
        for i, (prediction, record) in enumerate(zip(predictions, records, strict=True)):
            grams = _grams(prediction.text or "")
            against = np.array([_compared(grams, _grams(text)) for text in references_of(record)], dtype=np.float64)
            rows[i] = against[0] if len(against) == 1 else against[int(self.value(against).argmax())]
        return rows

    def value(self, sums: Matrix) -> Matrix:
        """F2 of precision and recall averaged over the orders that both sides have, 0 to 100."""
        found, wanted, shared = np.split(sums, 3, axis=-1)
        both = (found > 0) & (wanted > 0)
        orders = both.sum(-1).astype(np.float64)
        precision = ratio(np.where(both, ratio(shared, found), 0.0).sum(-1), orders)
        recall = ratio(np.where(both, ratio(shared, wanted), 0.0).sum(-1), orders)
        return 100 * ratio((1 + _FACTOR) * precision * recall, _FACTOR * precision + recall)


def _grams(text: str) -> list[Counter[str]]:
    letters = "".join(text.split())
    return [Counter([letters[i : i + n] for i in range(len(letters) - n + 1)]) for n in range(1, _ORDERS + 1)]


def _compared(found: list[Counter[str]], wanted: list[Counter[str]]) -> list[int]:
    """Counts of both sides and shared; an order that the reference is too short for is not held against the answer."""
    answers, references, shared = [], [], []
    for ours, theirs in zip(found, wanted, strict=True):
        answers.append(ours.total() if theirs else 0)
        references.append(theirs.total())
        shared.append(sum(min(count, theirs[gram]) for gram, count in ours.items() if gram in theirs))
    return [*answers, *references, *shared]
