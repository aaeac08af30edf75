"""Classification: one label a text, from a head on the pooled model (Devlin et al. 2019, section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from escalade.errors import BadInput
from escalade.models.encoding import cut_prompt, encode_prompt
from escalade.protocols import Batch, Row
from escalade.records import Record, input_text, output_text
from escalade.train.losses import cross_entropy_sum
from escalade.train.objectives.matrix import filled, matrix
from escalade.values import Family


class Classify:
    """One term, ``example``: the mean cross-entropy of the labels.

    Args:
        tokenizer: The model's tokenizer.
        labels: Names of the model's outputs, in their order.
        context: Longest input in tokens; longer texts are cut as ``cut_prompt`` says.
        family: encoder or decoder.
    """

    weights: Mapping[str, float] = {"example": 1.0}

    def __init__(self, tokenizer: Any, labels: Sequence[str], context: int, family: Family = "encoder") -> None:
        self.tokenizer, self.context = tokenizer, context
        self.family: Family = family
        self.labels = {label: i for i, label in enumerate(labels)}
        self.cut: list[str] = []

    def encode(self, record: Record) -> Row | None:
        """The text's ids; the label's index is the target.

        Raises:
            BadInput: The model has no such label.
        """
        label = output_text(record)
        if label not in self.labels:
            raise BadInput("train.unknown_label", place=record.id, label=label, known=", ".join(self.labels))
        ids = encode_prompt(self.tokenizer, self.family, input_text(record), self.context)
        if len(ids) > self.context:
            self.cut.append(record.id)
            ids = cut_prompt(self.tokenizer, self.family, ids, self.context)
        return Row(record.id, tuple(ids), target=(self.labels[label],)) if ids else None

    def collate(self, rows: Sequence[Row], seeds: Sequence[int]) -> Batch:
        """Texts and labels; nothing is random."""
        ids = [row.ids for row in rows]
        labels = torch.tensor([row.target[0] for row in rows])
        return {"ids": matrix(ids, int(self.tokenizer.pad_token_id)), "mask": filled(ids), "labels": labels}

    def counts(self, batch: Batch) -> dict[str, int]:
        """Texts."""
        return {"example": len(batch["labels"])}

    def totals(self, models: Mapping[str, Any], batch: Batch) -> dict[str, Tensor]:
        """Summed cross-entropy in nats."""
        logits = models["policy"](input_ids=batch["ids"], attention_mask=batch["mask"]).logits
        return {"example": cross_entropy_sum(logits, batch["labels"])}
