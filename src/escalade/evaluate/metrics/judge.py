"""Grades by a model that judges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from escalade.errors import BadInput
from escalade.evaluate.corpus import references_of
from escalade.evaluate.judging import Judge, grading_prompt, rating_of
from escalade.evaluate.metric import Matrix, Ratio, Setting, needed
from escalade.protocols import Prediction
from escalade.records import Record, input_text


class JudgeGrade(Ratio):
    """Mean grade of the answers, 1 to 10 scaled to 0 to 1, guided by the references (Zheng et al. 2023, section 3.1).

    A reply without a clear grade is left out of the mean, counted and listed; it is not the answer's fault, and no
    grade is guessed.

    Statistics: (grade, 1 where there is one, 1 where there is none).
    """

    name = "judge"

    def __init__(self, setting: Setting) -> None:
        self._helper = setting.helper
        self.signature = f"judge|model:{setting.options.get('model', '')}|scale:1-10|reference:yes|temperature:0"

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 3).

        Raises:
            BadInput: The judge cannot be asked, or no reply held a grade.
        """
        judge: Judge = needed(self._helper, self.name)
        prompts = [
            grading_prompt(input_text(record).strip(), references_of(record), prediction.text or "")
            for prediction, record in zip(predictions, records, strict=True)
        ]
        ids = [record.id for record in records]
        rows = []
        for id, reply in zip(ids, judge.ask(ids, prompts), strict=True):
            grade = rating_of(reply)
            if grade is None:
                judge.unclear(id, reply)
            rows.append((grade or 0.0, float(grade is not None), float(grade is None)))
        found = np.array(rows, dtype=np.float64)
        if not found[:, 1].any():
            raise BadInput("evaluate.judge_unclear", place=judge.name, count=len(rows))
        return found

    def missing(self, rows: Matrix) -> NDArray[np.bool_]:
        """Which rows have no grade, shape (n,)."""
        return rows[:, 1] == 0

    def details(self, sums: Matrix) -> dict[str, float]:
        """How many replies held no clear grade."""
        return {"unclear": float(sums[2])}
