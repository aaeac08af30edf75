"""Bits per byte and perplexity: how likely a language model finds the answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from escalade.evaluate.metric import Matrix, Setting, needed, ratio
from escalade.protocols import Prediction
from escalade.records import Record


class Language(Protocol):
    """What the metric needs."""

    mark: str
    """The first letters of the model's digest."""
    signature: str
    """What the likelihood of a text is: of which family, read how."""

    def nats(self, texts: Sequence[str]) -> Matrix:
        """(texts, 3): negative log-likelihood in nats, the UTF-8 bytes and the tokens that were predicted."""
        ...


class BitsPerByte:
    """Negative log-likelihood of the answers in bits, over their UTF-8 bytes; without references.

    Bytes are the same whatever the tokenizer, so that models of different ones compare; perplexity, which is per token,
    stands beside it and compares only models of one tokenizer. An empty answer has nothing to predict.

    Statistics: (nats, bytes, tokens).
    """

    name = "bits_per_byte"
    low = 0.0
    high = 8.0
    """What a model that knows nothing of bytes needs for each."""

    def __init__(self, setting: Setting) -> None:
        self._helper = setting.helper
        model = self._helper.mark if self._helper is not None else setting.options.get("model", "")
        said = self._helper.signature if self._helper is not None else ""
        self.signature = f"bits|per:byte|model:{model}|{said}".rstrip("|")

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 3)."""
        language: Language = needed(self._helper, self.name)
        texts = [prediction.text or "" for prediction in predictions]
        there = [i for i, text in enumerate(texts) if text.strip()]
        rows = np.zeros((len(texts), 3))
        if there:
            rows[there] = language.nats([texts[i] for i in there])
        return rows

    def value(self, sums: Matrix) -> Matrix:
        """Bits over bytes."""
        return ratio(sums[..., 0] / math.log(2), sums[..., 1])

    def details(self, sums: Matrix) -> dict[str, float]:
        """Perplexity: e to the nats per token."""
        return {"perplexity": float(np.exp(ratio(sums[..., 0], sums[..., 2])))}
