"""A frozen base with a linear head: one reading of the data, then logistic regression on what the base saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from escalade.models.load import load_model, load_tokenizer
from escalade.models.manifest import Manifest
from escalade.protocols import Prediction
from escalade.records import Record, Tagged, input_text, output_text
from escalade.rungs.baselines.logistic import Logistic
from escalade.rungs.features import text_features, word_features
from escalade.rungs.job import Done, Job
from escalade.values import Family, Kind

STRENGTH = 3.0
"""Inverse regularisation on standardised features. Fixed, so that validation stays untouched by it: between 1 and 10
the score moved by 0.003 where it was measured."""


def adapt(job: Job) -> Done:
    """Reads train once and fits a head."""
    if job.base_folder is None:
        raise ValueError(job.base.name)
    model = load_model(job.base_folder, "embed")
    tokenizer = load_tokenizer(job.base_folder)
    context = min(job.base.context or 512, int(job.rung.settings.get("context") or 512_000))
    features = _features(model, tokenizer, job.train, context, job.base.family)
    scale = Scale.fit(features)
    head = scale.into(Logistic.fit(scale.apply(features), _answers(job.train), STRENGTH, job.seed))
    head.save(job.out)
    Manifest(
        engine="probe", facts=job.facts, rung="probe", base=job.base, weights="base", head="embed", context=context
    ).write(job.out)
    return Done(job.base.parameters, head.weights.size + head.bias.size, {"features": int(features.shape[1])})


class Scale:
    """Standardisation, so that one regularisation suits every base; folded into the head when saved."""

    def __init__(self, mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> None:
        self.mean, self.deviation = mean, deviation

    @classmethod
    def fit(cls, features: NDArray[np.float32]) -> Scale:
        """Mean and standard deviation of each feature; a constant one is left alone."""
        deviation = features.std(0, dtype=np.float64)
        # Dividing by the square root of the width keeps rows near unit length, whatever the base's size.
        return cls(
            features.mean(0, dtype=np.float64), np.where(deviation > 1e-6, deviation, 1) * features.shape[1] ** 0.5
        )

    def apply(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Standardised rows."""
        return np.asarray((features - self.mean) / self.deviation)

    def into(self, head: Logistic) -> Logistic:
        """The head that gives the same answers on features as they come."""
        weights = head.weights / self.deviation
        bias = head.bias - weights @ self.mean
        return Logistic(head.labels, weights.astype(np.float32), bias.astype(np.float32))


class ProbePredictor:
    """Answers with a frozen base and a linear head."""

    def __init__(self, model: Any, tokenizer: Any, head: Logistic, manifest: Manifest) -> None:
        self.kind: Kind = manifest.facts.kind
        self.model, self.tokenizer, self.head = model, tokenizer, head
        self.context, self.family = manifest.context, manifest.base.family

    @classmethod
    def load(cls, folder: Path, weights: Path, manifest: Manifest) -> ProbePredictor:
        """Reads the head from ``folder`` and the base from ``weights``."""
        model = load_model(weights, "embed")
        tokenizer = load_tokenizer(weights)
        return cls(model, tokenizer, Logistic.load(folder), manifest)

    def predict(self, records: Sequence[Record]) -> Iterator[Prediction]:
        """Label and probabilities, or a tag per word."""
        features = _features(self.model, self.tokenizer, records, self.context, self.family)
        rows = self.head.log_probabilities(features)
        labels = self.head.labels
        if self.kind != "token-classification":
            for row in rows:
                best = int(row.argmax())
                shares = {label: float(np.exp(p)) for label, p in zip(labels, row, strict=True)}
                yield Prediction(label=labels[best], probabilities=shares, logprobs=(float(row[best]),))
            return
        start = 0
        for record in records:
            some = rows[start : start + _words(record)]
            start += len(some)
            tags = tuple(labels[int(row.argmax())] for row in some)
            yield Prediction(tags=tags, logprobs=tuple(float(row.max()) for row in some))


def _features(
    model: Any, tokenizer: Any, records: Sequence[Record], context: int, family: Family
) -> NDArray[np.float32]:
    """(records, width) mean-pooled, or (words, width) of each word's first token."""
    if records and isinstance(records[0], Tagged):
        words = [list(r.tokens) for r in records if isinstance(r, Tagged)]
        return word_features(model, tokenizer, words, context)
    return text_features(model, tokenizer, [input_text(r) for r in records], context, family)


def _answers(records: Sequence[Record]) -> list[str]:
    if records and isinstance(records[0], Tagged):
        return [tag for r in records if isinstance(r, Tagged) for tag in r.tags]
    return [output_text(r) for r in records]


def _words(record: Record) -> int:
    return len(record.tokens) if isinstance(record, Tagged) else 0
