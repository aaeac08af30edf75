"""What objectives share whose loss is the cross-entropy of tokens: they differ in what ``collate`` hides or shifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from escalade.errors import BadInput
from escalade.models.encoding import frame
from escalade.protocols import Batch, Row
from escalade.train.losses import IGNORE, token_loss
from escalade.train.objectives.matrix import Ids, filled, matrix
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
        return {
            "ids": matrix(ids, self.pad),
            "mask": filled(ids),
            "labels": matrix([_next(row) for row in rows], IGNORE),
        }

    def paired(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> Batch:
        """Encoder-decoder rows: the source is read, the target learnt."""
        return {"ids": matrix(sources, self.pad), "mask": filled(sources), "labels": matrix(targets, IGNORE)}


class Restoring(TokenObjective):
    """An encoder-decoder that reads a text of which parts are replaced by the mask token.

    Raises:
        BadInput: The tokenizer has no mask token, or the context is too small for a row.
    """

    def __init__(self, tokenizer: Any, context: int) -> None:
        super().__init__(tokenizer, "encoder-decoder", context)
        self.mask = mask_id(tokenizer)
        self.before, self.after = frame(tokenizer)
        self.end = [int(tokenizer.eos_token_id)]
        around = max(1, len(self.before) + len(self.after))
        check_context(self, context, around + 2)
        self.room = context - around
        """The most tokens of a text: its source gets the tokenizer's special tokens, its target the end token."""

    def framed(self, ids: Ids) -> np.ndarray:
        """A source with the special tokens that the tokenizer puts around a text."""
        return np.concatenate([self.before, np.asarray(ids, dtype=np.int64), self.after]).astype(np.int64)


def mask_id(tokenizer: Any) -> int:
    """The mask token.

    Raises:
        BadInput: The tokenizer has none.
    """
    if tokenizer.mask_token_id is None:
        raise BadInput("train.no_mask_token", place=tokenizer.name_or_path)
    return int(tokenizer.mask_token_id)


def check_context(objective: object, context: int, least: int) -> None:
    """Sees to it that a row with something to learn fits.

    Raises:
        BadInput: It does not.
    """
    if context < least:
        raise BadInput("train.context_small", place=type(objective).__name__, given=context, least=least)


def check_share(name: str, value: float) -> None:
    """Sees to it that a rate lies between 0 and 1, both excluded.

    Raises:
        BadInput: It does not.
    """
    if not 0 < value < 1:
        raise BadInput("train.not_a_share", place=name, given=value)


def check_positive(name: str, value: float) -> None:
    """Sees to it that a number is above 0.

    Raises:
        BadInput: It is not.
    """
    if value <= 0:
        raise BadInput("train.not_positive", place=name, given=value)


def _next(row: Row) -> np.ndarray:
    """At each place the id that follows, IGNORE where that one is not learnt."""
    labels = np.full(len(row.ids), IGNORE, dtype=np.int64)
    labels[:-1] = np.where(np.asarray(row.roles[1:], dtype=bool), row.ids[1:], IGNORE)
    return labels
