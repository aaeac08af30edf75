"""Masked language modelling (Devlin et al. 2019, section 3.1), masked anew at every pass (Liu et al. 2019, 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from escalade.errors import BadInput
from escalade.models.encoding import cut_prompt, encode_prompt
from escalade.protocols import Batch, Row
from escalade.records import Record, input_text
from escalade.train.losses import IGNORE, mask_of, padded
from escalade.train.objectives.token import TokenObjective

RATE = 0.15
MASKED, RANDOM = 0.8, 0.1
"""Of the chosen tokens: replaced by the mask token, replaced by a random one; the rest is left as it is."""


class Mlm(TokenObjective):
    """Of each row max(1, round(0.15 length)) tokens are chosen, special ones never, and learnt.

    Random tokens are drawn from the whole vocabulary but its special tokens, so one may be the token it replaces.

    Raises:
        BadInput: The tokenizer has no mask token.
    """

    def __init__(self, tokenizer: Any, context: int) -> None:
        super().__init__(tokenizer, "encoder", context)
        if tokenizer.mask_token_id is None:
            raise BadInput("train.no_mask_token", place=tokenizer.name_or_path)
        self._special = frozenset(tokenizer.all_special_ids)
        self._ordinary = np.array([i for i in range(len(tokenizer)) if i not in self._special])

    def encode(self, record: Record) -> Row | None:
        """The text's ids with the tokenizer's special tokens, which have role 0."""
        ids = encode_prompt(self.tokenizer, "encoder", input_text(record))
        if len(ids) > self.context:
            self.cut.append(record.id)
            ids = cut_prompt(self.tokenizer, "encoder", ids, self.context)
        roles = tuple(int(i not in self._special) for i in ids)
        return Row(record.id, tuple(ids), roles=roles) if any(roles) else None

    def collate(self, rows: Sequence[Row], seeds: Sequence[int]) -> Batch:
        """What is hidden depends on a row's own seed only."""
        hidden = [self._hide(row, seed) for row, seed in zip(rows, seeds, strict=True)]
        ids = [read for read, _ in hidden]
        return {
            "ids": padded(ids, self.pad),
            "mask": mask_of(ids),
            "labels": padded([labels for _, labels in hidden], IGNORE),
        }

    def _hide(self, row: Row, seed: int) -> tuple[list[int], list[int]]:
        draw = np.random.default_rng(seed)
        candidates = np.flatnonzero(row.roles)
        count = min(max(1, round(RATE * len(row.ids))), len(candidates))
        chosen = draw.choice(candidates, size=count, replace=False)
        ids, labels = np.array(row.ids), np.full(len(row.ids), IGNORE)
        labels[chosen] = ids[chosen]
        fate = draw.random(count)
        ids[chosen[fate < MASKED]] = self.tokenizer.mask_token_id
        swapped = chosen[(fate >= MASKED) & (fate < MASKED + RANDOM)]
        ids[swapped] = draw.choice(self._ordinary, size=len(swapped))
        return ids.tolist(), labels.tolist()
