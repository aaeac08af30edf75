"""A user's own metric, held to what holds for all: one finite number a row, inside the range that was promised."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from escalade.catalogue.metrics import MetricCard
from escalade.catalogue.own import place_in, told
from escalade.errors import BadInput
from escalade.evaluate.corpus import references_of
from escalade.evaluate.metric import Matrix, Metric, Ratio, Setting, means
from escalade.protocols import Prediction
from escalade.records import Question, Record, input_text, output_text


def own(setting: Setting) -> Metric:
    """The metric of a card with ``own``, which is the setting's helper."""
    card: MetricCard = setting.helper
    if card.own is None:
        raise ValueError("the card is of no user's own metric")
    return _Class(setting, card) if inspect.isclass(card.own.thing) else _Function(card)


class _Own(Ratio):
    """What functions and classes share."""

    def __init__(self, card: MetricCard) -> None:
        if card.own is None:
            raise ValueError("the card is of no user's own metric")
        self.name, self.low, self.high = card.name, card.low, card.high
        self.own, self.rising = card.own, card.rising
        self.signature = f"own|{Path(card.own.file).name}|digest:{card.own.digest[:8]}"

    def failed(self, error: Exception, row: int | str) -> BadInput:
        """The user's error, with the line it came from and the row it came at."""
        path = getattr(inspect.getmodule(self.own.thing), "__file__", "")
        return BadInput(
            "evaluate.own_failed", place=place_in(self.own.file, path, error), name=self.name, row=row,
            problem=told(error),
        )  # fmt: skip


class _Function(_Own):
    """Mean over rows of what a function gives; the best over a row's references. Statistics: (value, 1)."""

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 2).

        Raises:
            BadInput: The function failed, or gave no number, or one that is not finite or outside its range; the row
                is named.
        """
        return means([self._row(p, r) for p, r in zip(predictions, records, strict=True)])

    def _row(self, prediction: Prediction, record: Record) -> float:
        references = references_of(record) if isinstance(record, Question) else (output_text(record),)
        said = {
            "prediction": _answer(prediction),
            "input": input_text(record).rstrip("\n"),
            "references": list(references),
        }
        each = references if "reference" in self.own.takes else references[:1]
        values = [self._value(said | {"reference": reference}, record.id) for reference in each]
        return max(values) if self.rising else min(values)

    def _value(self, said: dict[str, Any], row: str) -> float:
        try:
            given = self.own.thing(**{name: said[name] for name in self.own.takes})
        except Exception as error:  # whatever a user's code raises means the same
            raise self.failed(error, row) from error
        try:
            value = float(given)
        except (TypeError, ValueError):
            raise BadInput(
                "evaluate.own_value", place=self.own.file, name=self.name, row=row, given=repr(given)[:60],
                low=self.low, high=self.high,
            ) from None  # fmt: skip
        if not self.low <= value <= self.high:  # nor is NaN
            raise BadInput(
                "evaluate.own_value", place=self.own.file, name=self.name, row=row, given=value, low=self.low,
                high=self.high,
            )  # fmt: skip
        return value


class _Class(_Own):
    """A user's class, constructed with the setting that every metric gets."""

    def __init__(self, setting: Setting, card: MetricCard) -> None:
        super().__init__(card)
        try:
            self._inner: Any = self.own.thing(setting)
        except Exception as error:
            raise self.failed(error, "-") from error

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, k), as the class gives it.

        Raises:
            BadInput: The class failed, or gave something else than a row of numbers per record.
        """
        try:
            rows = np.asarray(self._inner.statistics(predictions, records), dtype=np.float64)
        except Exception as error:
            raise self.failed(error, "-") from error
        if rows.ndim != 2 or len(rows) != len(records):
            raise BadInput(
                "evaluate.own_shape", place=self.own.file, name=self.name, shape=rows.shape, rows=len(records)
            )
        return rows

    def value(self, sums: Matrix) -> Matrix:
        """What the class makes of summed rows."""
        try:
            return np.asarray(self._inner.value(sums), dtype=np.float64)
        except Exception as error:
            raise self.failed(error, "-") from error


def _answer(prediction: Prediction) -> str:
    if prediction.tags is not None:
        return " ".join(prediction.tags)
    return prediction.label if prediction.label is not None else prediction.text or ""
