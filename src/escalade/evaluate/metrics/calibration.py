"""Calibration: are labels right as often as their probabilities say?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from escalade.errors import BadInput
from escalade.evaluate.metric import Matrix, Setting, ratio
from escalade.protocols import Prediction
from escalade.records import Record, output_text


class ECE:
    """Expected calibration error over bins of equal width (Guo et al. 2017, eq. 3).

    Statistics: for each bin, right minus probability of the rows that fall into it (0 for the other bins), and 1 at
    the end. The value is the mean distance, rows of a bin taken together, 0 to 1.
    """

    name = "ece"
    low = 0.0
    high = 1.0

    def __init__(self, setting: Setting) -> None:
        given = setting.options.get("bins", "15")
        self._bins = int(given) if given.isdecimal() else 0
        if not 1 <= self._bins <= 1000:
            raise BadInput("evaluate.bins", place="ece", given=given)
        self.signature = f"ece|bins:{self._bins}|width:equal"

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, bins + 1).

        Raises:
            BadInput: A prediction has neither probabilities nor the log-probability of its label.
        """
        sure = np.array([_confidence(p, record) for p, record in zip(predictions, records, strict=True)])
        right = [p.label == output_text(record) for p, record in zip(predictions, records, strict=True)]
        bins = np.clip(np.ceil(sure * self._bins).astype(np.int64) - 1, 0, self._bins - 1)
        rows = np.zeros((len(sure), self._bins + 1))
        rows[np.arange(len(sure)), bins] = np.array(right, dtype=np.float64) - sure
        rows[:, -1] = 1
        return rows

    def value(self, sums: Matrix) -> Matrix:
        """Distances of the bins, each weighted by its rows."""
        return ratio(np.abs(sums[..., :-1]).sum(-1), sums[..., -1])


def _confidence(prediction: Prediction, record: Record) -> float:
    """The probability of the label that was given."""
    if prediction.probabilities:
        return prediction.probabilities.get(prediction.label or "", max(prediction.probabilities.values()))
    if prediction.logprobs:
        return math.exp(sum(prediction.logprobs))
    raise BadInput("evaluate.no_probability", place=record.id)
