"""Baselines that need no arithmetic to speak of: majority, copy, lead-k, nearest neighbour."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from escalade.evaluate import statistics_of
from escalade.protocols import Prediction
from escalade.records import Record, Tagged, input_text, output_text
from escalade.rungs.baselines.base import Baseline, most_common
from escalade.rungs.baselines.features import Features
from escalade.values import Facts

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")


class Majority(Baseline):
    """The commonest label with the shares of all labels, the commonest tag, or the commonest output."""

    name: ClassVar[str] = "majority"

    def __init__(self, facts: Facts, shares: dict[str, float] | None = None) -> None:
        super().__init__(facts)
        self.shares = shares or {}

    @classmethod
    def fit(cls, records: Sequence[Record], facts: Facts, seed: int) -> Self:
        """Counts; outputs that are not labels keep only their commonest."""
        said = [tag for r in records if isinstance(r, Tagged) for tag in r.tags] or [output_text(r) for r in records]
        if facts.labels:
            return cls(facts, {label: said.count(label) / len(said) for label in facts.labels})
        return cls(facts, {most_common(said): 1.0})

    def predict(self, records: Sequence[Record]) -> Iterator[Prediction]:
        """The same answer for every record."""
        best = min(self.shares, key=lambda label: (-self.shares[label], label))
        for record in records:
            if self.facts.labels and not isinstance(record, Tagged):
                logprob = float(np.log(max(self.shares[best], 1e-12)))
                yield Prediction(label=best, probabilities=self.shares, logprobs=(logprob,))
            else:
                yield self.answer(best, record)

    def save(self, folder: Path) -> None:
        """Writes majority.json."""
        content = json.dumps(self.shares, ensure_ascii=False, sort_keys=True)
        (folder / "majority.json").write_text(content, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, facts: Facts) -> Self:
        """Reads majority.json."""
        return cls(facts, json.loads((folder / "majority.json").read_text(encoding="utf-8")))


class Copy(Baseline):
    """The input itself."""

    name: ClassVar[str] = "copy"

    @classmethod
    def fit(cls, records: Sequence[Record], facts: Facts, seed: int) -> Self:
        """Nothing to learn."""
        return cls(facts)

    def predict(self, records: Sequence[Record]) -> Iterator[Prediction]:
        """Each record's input."""
        for record in records:
            yield Prediction(text=input_text(record))


class Lead(Baseline):
    """The first k sentences of the input; k is the one of 1, 2, 3 that scores best on train by ROUGE-1."""

    name: ClassVar[str] = "lead"

    def __init__(self, facts: Facts, k: int = 1) -> None:
        super().__init__(facts)
        self.k = k

    @classmethod
    def fit(cls, records: Sequence[Record], facts: Facts, seed: int) -> Self:
        """Tries k = 1, 2, 3 on at most 500 train records."""
        some = list(records[:500])

        def rouge(k: int) -> float:
            return statistics_of("rouge1", list(cls(facts, k).predict(some)), some, facts).value

        return cls(facts, max((1, 2, 3), key=rouge))

    def predict(self, records: Sequence[Record]) -> Iterator[Prediction]:
        """The first k sentences of each record's input."""
        for record in records:
            sentences = [s for s in _SENTENCE_END.split(input_text(record)) if s and s.strip()]
            yield Prediction(text=" ".join(sentences[: self.k]))

    def save(self, folder: Path) -> None:
        """Writes lead.json."""
        (folder / "lead.json").write_text(json.dumps({"k": self.k}))

    @classmethod
    def load(cls, folder: Path, facts: Facts) -> Self:
        """Reads lead.json."""
        return cls(facts, json.loads((folder / "lead.json").read_text())["k"])


class Nearest(Baseline):
    """The output of the train record whose input has the nearest TF-IDF vector (cosine)."""

    name: ClassVar[str] = "nearest"

    def __init__(self, facts: Facts, features: Features, inputs: list[str], outputs: list[str]) -> None:
        super().__init__(facts)
        self.features, self.inputs, self.outputs = features, inputs, outputs
        self.matrix = features.transform(inputs)

    @classmethod
    def fit(cls, records: Sequence[Record], facts: Facts, seed: int) -> Self:
        """Remembers every train record."""
        inputs = [input_text(r) for r in records]
        return cls(facts, Features.fit(inputs, limit=50_000), inputs, [output_text(r) for r in records])

    def predict(self, records: Sequence[Record]) -> Iterator[Prediction]:
        """The answer of the nearest train record; of equals the earliest."""
        for start in range(0, len(records), 256):
            some = records[start : start + 256]
            likeness = (self.features.transform([input_text(r) for r in some]) @ self.matrix.T).toarray()
            for record, row in zip(some, likeness, strict=True):
                yield self.answer(self.outputs[int(np.round(row, 9).argmax())], record)

    def save(self, folder: Path) -> None:
        """Writes the features and nearest.json."""
        self.features.save(folder)
        content = json.dumps([self.inputs, self.outputs], ensure_ascii=False)
        (folder / "nearest.json").write_text(content, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, facts: Facts) -> Self:
        """Reads what ``save`` wrote."""
        inputs, outputs = json.loads((folder / "nearest.json").read_text(encoding="utf-8"))
        return cls(facts, Features.load(folder), inputs, outputs)
