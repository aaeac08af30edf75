"""What every baseline is: fitted on records, saved without pickle, answering records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from escalade.protocols import Prediction
from escalade.records import Record, Tagged
from escalade.values import Facts, Kind

Array = NDArray[np.float64]


class Baseline:
    """Base of the baselines: holds the facts and turns a text answer into the kind's Prediction."""

    name: ClassVar[str]

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.kind: Kind = facts.kind

    @classmethod
    def fit(cls, records: Sequence[Record], facts: Facts, seed: int) -> Self:
        """Learns from the train records."""
        raise TypeError(cls)

    def predict(self, records: Sequence[Record]) -> Iterator[Prediction]:
        """One prediction per record, in order."""
        raise TypeError(self)

    def save(self, folder: Path) -> None:
        """Writes all it learnt into ``folder``."""

    @classmethod
    def load(cls, folder: Path, facts: Facts) -> Self:
        """Reads what ``save`` wrote."""
        return cls(facts)

    def answer(self, text: str, record: Record) -> Prediction:
        """A text as the kind's prediction."""
        if self.facts.labels and not isinstance(record, Tagged):
            return Prediction(label=text)
        if isinstance(record, Tagged):
            return Prediction(tags=tuple([text] * len(record.tokens)))
        return Prediction(text=text)


def most_common(values: Sequence[str]) -> str:
    """The commonest value; of equals the first in sorted order, so that the answer does not depend on row order."""
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value))
