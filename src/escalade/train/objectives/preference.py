"""Direct preference optimisation (Rafailov et al. 2023, equation 7).

The better answer becomes more likely than the worse one, measured against where the policy began.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from escalade.errors import BadInput
from escalade.protocols import Batch, Row
from escalade.records import Pair, Preference, Record
from escalade.train.batches import on_device
from escalade.train.losses import sequence_log_probability
from escalade.train.objectives.sft import Sft

_ROWS = 16
"""Rows read together where the reference is read beforehand."""


class Dpo(Sft):
    """One term, ``pair``: -log sigmoid(beta (margin of the policy - margin of the reference)).

    A margin is the summed log-probability of the chosen answer's tokens less that of the rejected one's; prompts do not
    count. ``prepare`` reads the reference once; without it, it is read in every step.

    Args:
        tokenizer: The model's tokenizer.
        context: Most tokens of a prompt and an answer together.
        beta: How dear it is to leave the reference.
    """

    weights: Mapping[str, float] = {"pair": 1.0}

    def __init__(self, tokenizer: Any, context: int, beta: float = 0.1) -> None:
        super().__init__(tokenizer, "decoder", context)
        self.beta = beta
        self._reference: dict[str, float] = {}
        """The reference's margin by row id."""

    def encode(self, record: Record) -> Row | None:
        """Prompt and chosen answer, then prompt and rejected answer, in one row; ``group`` marks the seam.

        Raises:
            BadInput: The record is not a Preference.
        """
        if not isinstance(record, Preference):
            raise BadInput("train.wrong_record", place=record.id, given=type(record).__name__, wanted="Preference")
        if record.chosen == record.rejected:
            return None
        # A record both of whose answers are cut is noted twice; who counts them counts ids.
        chosen = super().encode(Pair(record.id, record.prompt, record.chosen))
        rejected = super().encode(Pair(record.id, record.prompt, record.rejected))
        if chosen is None or rejected is None:
            return None
        return Row(record.id, chosen.ids + rejected.ids, chosen.roles + rejected.roles, group=len(chosen.ids))

    def collate(self, rows: Sequence[Row], seeds: Sequence[int]) -> Batch:
        """(2 pairs, tokens): the chosen answers first, in the order of the rows, then the rejected ones."""
        chosen = [Row(row.id, row.ids[: row.group], row.roles[: row.group]) for row in rows]
        rejected = [Row(row.id, row.ids[row.group :], row.roles[row.group :]) for row in rows]
        return {**self.causal([*chosen, *rejected]), "rows": [row.id for row in rows]}

    def counts(self, batch: Batch) -> dict[str, int]:
        """Pairs."""
        return {"pair": len(batch["ids"]) // 2}

    def totals(self, models: Mapping[str, Any], batch: Batch) -> dict[str, Tensor]:
        """Summed loss in nats."""
        return {"pair": -F.logsigmoid(self.beta * self.advantages(models, batch)).sum()}

    def advantages(self, models: Mapping[str, Any], batch: Batch) -> Tensor:
        """(pairs,): how much more than the reference the policy prefers the chosen answer, in nats."""
        policy = _margins(models["policy"], batch)
        if all(name in self._reference for name in batch["rows"]):
            return policy - policy.new_tensor([self._reference[name] for name in batch["rows"]])
        with torch.no_grad():
            reference = _margins(models["reference"], batch)
        return policy - reference

    def prepare(self, models: Mapping[str, Any], rows: Sequence[Row]) -> None:
        """Reads the reference's margins of all rows, in batches that depend on the rows alone, as resuming asks for."""
        margins = self._read(models["reference"], rows)
        self._reference.update(zip((row.id for row in rows), margins, strict=True))

    @torch.no_grad()
    def _read(self, model: Any, rows: Sequence[Row]) -> list[float]:
        """A model's margin of each row, rows of like length read together."""
        model.eval()
        device = next(model.parameters()).device
        by_length = sorted(range(len(rows)), key=lambda i: (rows[i].length, rows[i].id))
        margins = [0.0] * len(rows)
        for start in range(0, len(rows), _ROWS):
            some = by_length[start : start + _ROWS]
            batch = on_device(self.collate([rows[i] for i in some], [0] * len(some)), device)
            for i, margin in zip(some, _margins(model, batch).tolist(), strict=True):
                margins[i] = margin
        return margins


def _margins(model: Any, batch: Batch) -> Tensor:
    """(pairs,): summed log-probability of the chosen answer less that of the rejected one."""
    chosen, rejected = sequence_log_probability(model, batch).chunk(2)
    return chosen - rejected
