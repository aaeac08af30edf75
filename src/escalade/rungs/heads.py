"""Predictors that read a head of the network: a label per text, a tag per word, a vector per text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from escalade.protocols import Prediction
from escalade.records import Record, Tagged, input_text
from escalade.rungs.features import encode_text, encode_tokens, in_batches, vectors
from escalade.values import Facts, Kind


class HeadPredictor:
    """Sequence classification and token classification.

    Args:
        model: Gives ``logits`` (B, labels) or (B, T, labels).
        tokenizer: Of the model.
        facts: Kind and labels.
        context: Longest input in tokens.
    """

    def __init__(self, model: Any, tokenizer: Any, facts: Facts, context: int) -> None:
        self.kind: Kind = facts.kind
        self.model, self.tokenizer, self.context = model.eval(), tokenizer, context
        names = {int(i): str(label) for i, label in model.config.id2label.items()}
        self.labels = [names[i] for i in range(len(names))]

    def predict(self, records: Sequence[Record]) -> Iterator[Prediction]:
        """Label and probabilities, or a tag per word."""
        if self.kind == "token-classification":
            yield from self._tags([r for r in records if isinstance(r, Tagged)])
            return
        for logits in self.logits([encode_text(self.tokenizer, input_text(r), self.context) for r in records]):
            logprobs = logits.log_softmax(-1).double().numpy()
            best = int(logprobs.argmax())
            shares = {label: float(np.exp(p)) for label, p in zip(self.labels, logprobs, strict=True)}
            yield Prediction(label=self.labels[best], probabilities=shares, logprobs=(float(logprobs[best]),))

    def _tags(self, records: Sequence[Tagged]) -> Iterator[Prediction]:
        encoded = [encode_tokens(self.tokenizer, r.tokens, self.context) for r in records]
        found = self.logits([ids for ids, _ in encoded])
        fill = "O" if "O" in self.labels else self.labels[0]
        for record, (_, firsts), logits in zip(records, encoded, found, strict=True):
            rows = logits[firsts].log_softmax(-1).double().numpy()
            tags = [self.labels[int(row.argmax())] for row in rows]
            # A word beyond the context was not read; it is tagged as outside and counts as it falls.
            missing = len(record.tokens) - len(tags)
            yield Prediction(tags=(*tags, *[fill] * missing), logprobs=tuple(float(row.max()) for row in rows))

    def logits(self, rows: Sequence[list[int]]) -> list[Tensor]:
        """What the head gives for each row of token ids."""

        def network(ids: Tensor, mask: Tensor) -> Tensor:
            logits: Tensor = self.model(input_ids=ids, attention_mask=mask).logits.float()
            return logits

        return in_batches(rows, self.tokenizer.pad_token_id, network)


class EmbedPredictor:
    """Mean-pooled vectors of unit length."""

    kind: Kind = "embedding"

    def __init__(self, model: Any, tokenizer: Any, context: int) -> None:
        self.model, self.tokenizer, self.context = model, tokenizer, context

    def predict(self, records: Sequence[Record]) -> Iterator[Prediction]:
        """A vector per record's input."""
        for vector in self.embed([input_text(r) for r in records]):
            yield Prediction(vector=tuple(float(x) for x in vector))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, width), rows of unit length."""
        return vectors(self.model, self.tokenizer, list(texts), self.context)
