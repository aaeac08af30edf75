"""Linear baselines: TF-IDF with logistic regression for texts, and for words in their window."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from escalade.protocols import Prediction
from escalade.records import Record, Tagged, input_text, output_text
from escalade.rungs.baselines.base import Baseline
from escalade.rungs.baselines.features import Features
from escalade.rungs.baselines.logistic import Logistic
from escalade.values import Facts

_WIDTH = 1 << 18
"""Columns the hashed word features share."""


class Linear(Baseline):
    """Logistic regression on TF-IDF of characters 1-3 and words."""

    name: ClassVar[str] = "linear"

    def __init__(self, facts: Facts, features: Features, logistic: Logistic) -> None:
        super().__init__(facts)
        self.features, self.logistic = features, logistic

    @classmethod
    def fit(cls, records: Sequence[Record], facts: Facts, seed: int) -> Self:
        """Fits on the inputs; C = 10 suits unit-length TF-IDF rows (measured on a few sentiment and topic sets)."""
        inputs = [input_text(r) for r in records]
        features = Features.fit(inputs)
        answers = [output_text(r) for r in records]
        return cls(facts, features, Logistic.fit(features.transform(inputs), answers, 10.0, seed))

    def predict(self, records: Sequence[Record]) -> Iterator[Prediction]:
        """Label and probabilities."""
        for start in range(0, len(records), 1024):
            texts = [input_text(r) for r in records[start : start + 1024]]
            for row in self.logistic.log_probabilities(self.features.transform(texts)):
                best = int(row.argmax())
                shares = {label: float(np.exp(p)) for label, p in zip(self.logistic.labels, row, strict=True)}
                yield Prediction(label=self.logistic.labels[best], probabilities=shares, logprobs=(float(row[best]),))

    def save(self, folder: Path) -> None:
        """Writes features and weights."""
        self.features.save(folder)
        self.logistic.save(folder)

    @classmethod
    def load(cls, folder: Path, facts: Facts) -> Self:
        """Reads what ``save`` wrote."""
        return cls(facts, Features.load(folder), Logistic.load(folder))


class LinearTags(Baseline):
    """Logistic regression per word on hashed features of the word, its shape and its neighbours."""

    name: ClassVar[str] = "linear-tags"

    def __init__(self, facts: Facts, logistic: Logistic, columns: list[int]) -> None:
        super().__init__(facts)
        self.logistic, self.columns = logistic, columns

    @classmethod
    def fit(cls, records: Sequence[Record], facts: Facts, seed: int) -> Self:
        """Fits on every word of train; only hashed columns that occur there are kept."""
        tagged = [r for r in records if isinstance(r, Tagged)]
        matrix = _hashed([window(r.tokens, i) for r in tagged for i in range(len(r.tokens))])
        columns = np.unique(matrix.indices)
        answers = [tag for r in tagged for tag in r.tags]
        return cls(facts, Logistic.fit(matrix[:, columns], answers, 1.0, seed), [int(c) for c in columns])

    def predict(self, records: Sequence[Record]) -> Iterator[Prediction]:
        """A tag per word."""
        for record in records:
            if not isinstance(record, Tagged):
                raise TypeError(type(record))
            matrix = _hashed([window(record.tokens, i) for i in range(len(record.tokens))])[:, self.columns]
            rows = self.logistic.log_probabilities(matrix)
            tags = tuple(self.logistic.labels[int(row.argmax())] for row in rows)
            yield Prediction(tags=tags, logprobs=tuple(float(row.max()) for row in rows))

    def save(self, folder: Path) -> None:
        """Writes weights and columns."""
        self.logistic.save(folder)
        (folder / "columns.json").write_text(json.dumps(self.columns))

    @classmethod
    def load(cls, folder: Path, facts: Facts) -> Self:
        """Reads what ``save`` wrote."""
        return cls(facts, Logistic.load(folder), json.loads((folder / "columns.json").read_text()))


def window(tokens: Sequence[str], place: int) -> dict[str, float]:
    """Features of one word: itself, its ends, its shape, and two neighbours on each side."""
    word = tokens[place]
    found = {f"w={word.lower()}": 1.0, f"shape={_shape(word)}": 1.0, "bias": 1.0}
    for size in (1, 2, 3):
        found[f"pre={word[:size].lower()}"] = 1.0
        found[f"suf={word[-size:].lower()}"] = 1.0
    for step in (-2, -1, 1, 2):
        other = tokens[place + step] if 0 <= place + step < len(tokens) else "<edge>"
        found[f"{step}w={other.lower()}"] = 1.0
        found[f"{step}shape={_shape(other)}"] = 1.0
    return found


def _shape(word: str) -> str:
    """``Xx`` for Berlin, ``X`` for USA, ``x9`` for b2: runs of one class become one sign."""
    signs = ""
    for char in word:
        sign = "X" if char.isupper() else "9" if char.isdigit() else "x" if char.isalpha() else char
        if not signs.endswith(sign):
            signs += sign
    return signs[:8]


def _hashed(rows: list[dict[str, float]]) -> Any:
    from sklearn.feature_extraction import FeatureHasher

    return FeatureHasher(_WIDTH, alternate_sign=False).transform(rows).tocsr()
