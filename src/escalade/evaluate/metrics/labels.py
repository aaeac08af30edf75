"""Metrics of labels: accuracy, macro and micro F1, Matthews correlation.

A label outside the task's labels is an error and never a class of its own, however many a generating model invents:
predicted, it misses the true label; true (it occurs in test alone), it cannot have been learnt and is missed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from escalade.errors import BadInput
from escalade.evaluate.metric import Matrix, Ratio, Setting, means, ratio
from escalade.protocols import Prediction
from escalade.records import Record, output_text

_Codes = NDArray[np.int64]


class _Labels:
    """Predicted and true labels as numbers; ``len(labels)`` stands for every label outside."""

    low = 0.0
    high = 1.0

    def __init__(self, setting: Setting) -> None:
        self._number = {label: i for i, label in enumerate(setting.facts.labels)}
        self._outside = len(self._number)

    def _codes(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> tuple[_Codes, _Codes]:
        found = [self._number.get(prediction.label or "", self._outside) for prediction in predictions]
        true = [self._number.get(output_text(record), self._outside) for record in records]
        return np.array(found, dtype=np.int64), np.array(true, dtype=np.int64)

    def _right(self, found: _Codes, true: _Codes) -> NDArray[np.bool_]:
        return (found == true) & (true != self._outside)

    def _one_hot(self, codes: _Codes, where: NDArray[np.bool_] | None = None) -> Matrix:
        """Shape (n, labels + 1), the last column for labels outside; rows not in ``where`` are 0."""
        rows = np.zeros((len(codes), self._outside + 1))
        chosen = np.arange(len(codes)) if where is None else np.flatnonzero(where)
        rows[chosen, codes[chosen]] = 1
        return rows


class Accuracy(_Labels, Ratio):
    """Share of the rows whose label is right. Statistics: (right, 1)."""

    name = "accuracy"
    signature = "accuracy"

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 2)."""
        return means(self._right(*self._codes(predictions, records)).astype(np.float64).tolist())


class MicroF1(_Labels, Ratio):
    """F1 over all decisions. Statistics: (2 tp, 2 tp + fp + fn) of a row, all labels together."""

    name = "micro_f1"
    signature = "f1|average:micro"

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 2); a wrong row has one label too many and misses one."""
        right = self._right(*self._codes(predictions, records))
        return np.column_stack([2.0 * right, np.full(len(right), 2.0)])


class MacroF1(_Labels):
    """Mean of each label's F1. Statistics: tp, fp, fn of each label and of those outside, 3 (labels + 1) columns.

    Labels that neither occur nor are predicted have no F1 and are left out of the mean, as scikit-learn does.
    """

    name = "macro_f1"
    signature = "f1|average:macro|over:occurring"

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 3 (labels + 1))."""
        found, true = self._codes(predictions, records)
        right = self._right(found, true)
        hits = self._one_hot(true, right)
        wrong = self._one_hot(found, ~right)
        wrong[:, -1] = 0
        return np.hstack([hits, wrong, self._one_hot(true, ~right)])

    def value(self, sums: Matrix) -> Matrix:
        """Mean F1 over the labels that occur."""
        hits, wrong, missed = np.split(sums, 3, axis=-1)
        decisions = 2 * hits + wrong + missed
        return ratio(ratio(2 * hits, decisions).sum(-1), (decisions > 0).sum(-1).astype(np.float64))


class Matthews(_Labels):
    """Correlation of prediction and truth (Gorodkin 2004, eq. 8).

    Statistics: how often each label is predicted, how often it is true, right, 1.
    """

    name = "matthews"
    low = -1.0
    signature = "matthews|multiclass"

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 2 (labels + 1) + 2)."""
        found, true = self._codes(predictions, records)
        right = self._right(found, true).astype(np.float64)
        return np.column_stack([self._one_hot(found), self._one_hot(true), right, np.ones(len(right))])

    def value(self, sums: Matrix) -> Matrix:
        """Covariance over the product of the standard deviations; 0 where either never varies."""
        labels, right, n = sums[..., :-2], sums[..., -2], sums[..., -1]
        found, true = np.split(labels, 2, axis=-1)
        both = (found * true)[..., :-1].sum(-1)
        spread = np.sqrt((n**2 - (found**2).sum(-1)) * (n**2 - (true**2).sum(-1)))
        return ratio(right * n - both, spread)


_NO_RELATION = {"other", "norelation", "none", "na"}


class RelationF1(_Labels, Ratio):
    """Micro F1 over all labels but those that say there is no relation.

    Statistics: (2 tp, predicted + true, predicted). The option ``none`` names that label; where it is left out, labels
    that read other, no_relation, none or NA are it.
    """

    name = "relation_f1"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        labels, given = setting.facts.labels, setting.options.get("none", "")
        if given and labels and given not in labels:
            raise BadInput("evaluate.none_unknown", place="relation_f1", given=given, known=", ".join(labels))
        none = {given} if given else {label for label in labels if _folded(label) in _NO_RELATION}
        self._none = np.array(sorted(self._number[label] for label in none if label in self._number), dtype=np.int64)
        self.signature = f"f1|average:micro|without:{','.join(sorted(none)) or '-'}"

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 3); an invented label is one too many, an empty one is none."""
        found, true = self._codes(predictions, records)
        said = ~np.isin(found, self._none) & np.array([bool(p.label) for p in predictions], dtype=np.bool_)
        there = ~np.isin(true, self._none)
        right = self._right(found, true) & there
        return np.column_stack([2.0 * right, said.astype(np.float64) + there, said])

    def details(self, sums: Matrix) -> dict[str, float]:
        """Precision and recall over all relations."""
        right, found, true = sums[0] / 2, sums[2], sums[1] - sums[2]
        return {"precision": float(ratio(right, found)), "recall": float(ratio(right, true))}


def confusion(found: Sequence[str | None], true: Sequence[str], labels: Sequence[str]) -> NDArray[np.int64]:
    """How often each label was taken for each.

    Args:
        found: The label predicted for each row; None for no answer.
        true: The label each row has.
        labels: In the order of rows and columns.

    Returns:
        Shape (labels + 1, labels + 1): rows are true, columns predicted, the last of each is every label outside.

    Raises:
        BadInput: The lengths differ.
    """
    if len(found) != len(true):
        raise BadInput("evaluate.lengths_differ", predictions=len(found), records=len(true))
    number = {label: at for at, label in enumerate(labels)}
    counts = np.zeros((len(number) + 1, len(number) + 1), dtype=np.int64)
    for one, other in zip(true, found, strict=True):
        counts[number.get(one, -1), number.get(other or "", -1)] += 1
    return counts


def _folded(label: str) -> str:
    return "".join(character for character in label.casefold() if character.isalnum())
