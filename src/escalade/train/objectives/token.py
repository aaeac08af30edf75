"""What objectives share whose loss is the cross-entropy of tokens: they differ in what ``collate`` hides or shifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from escalade.protocols import Batch, Row
from escalade.train.losses import IGNORE, mask_of, next_tokens, padded, token_loss
from escalade.values import Family


class TokenObjective:
    """One term, ``token``: the mean cross-entropy over the labels of a step.

    Args:
        tokenizer: The model's tokenizer.
        family: The model's architecture family.
        context: Longest input in tokens; of an encoder-decoder, of input and output each.
    """

    weights: Mapping[str, float] = {"token": 1.0}

    def __init__(self, tokenizer: Any, family: Family, context: int) -> None:
        self.tokenizer = tokenizer
        self.family: Family = family
        self.context = context
        self.pad = int(tokenizer.pad_token_id)
        self.cut: list[str] = []
        """Ids of the records that were too long and were cut."""

    def counts(self, batch: Batch) -> dict[str, int]:
        """Labels that are learnt."""
        return {"token": int((batch["labels"] != IGNORE).sum())}

    def totals(self, models: Mapping[str, Any], batch: Batch) -> dict[str, Tensor]:
        """Summed cross-entropy in nats."""
        return {"token": token_loss(models["policy"], batch)}

    def causal(self, rows: Sequence[Row]) -> Batch:
        """Decoder rows: every token is read, and the next one learnt where its role is 1."""
        ids = [row.ids for row in rows]
        labels = [next_tokens(row.ids, row.roles) for row in rows]
        return {"ids": padded(ids, self.pad), "mask": mask_of(ids), "labels": padded(labels, IGNORE)}

    def paired(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> Batch:
        """Encoder-decoder rows: the source is read, the target learnt."""
        return {"ids": padded(sources, self.pad), "mask": mask_of(sources), "labels": padded(targets, IGNORE)}
