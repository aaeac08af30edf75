"""Losses as sums, and the small tensor work that objectives share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORE = -100
"""Label of a position that is not learnt."""


def cross_entropy_sum(logits: Tensor, labels: Tensor) -> Tensor:
    """Summed cross-entropy in nats over the labels that are not IGNORE.

    Only those positions are lifted to float32 and normalised.

    Args:
        logits: (..., classes).
        labels: (...).

    Returns:
        A scalar.
    """
    chosen = labels != IGNORE
    return F.cross_entropy(_full(logits[chosen]), labels[chosen], reduction="sum")


def sequence_log_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum of the log-probabilities of a row's labels, IGNORE left out.

    Args:
        logits: (rows, tokens, classes).
        labels: (rows, tokens).

    Returns:
        (rows,).
    """
    logprobs = _full(logits).log_softmax(dim=-1).gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return (logprobs * (labels != IGNORE)).sum(dim=1)


def padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Rows of different lengths as one matrix (rows, longest), padded on the right."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows], dtype=torch.long)


def mask_of(rows: Sequence[Sequence[int]]) -> Tensor:
    """(rows, longest): 1 where ``padded`` has a token, 0 where it has padding."""
    return padded([[1] * len(row) for row in rows], 0)


def next_tokens(ids: Sequence[int], roles: Sequence[int]) -> list[int]:
    """Labels of a causal model: at each position the id that follows, IGNORE where that one is not learnt."""
    return [*(i if role else IGNORE for i, role in zip(ids[1:], roles[1:], strict=True)), IGNORE]


def causal_logits(model: Any, batch: dict[str, Any]) -> Tensor:
    """(rows, tokens, vocabulary) of a model that reads ``ids`` under ``mask``."""
    logits: Tensor = model(input_ids=batch["ids"], attention_mask=batch["mask"]).logits
    return logits


def seq2seq_logits(model: Any, batch: dict[str, Any]) -> Tensor:
    """(rows, target tokens, vocabulary): the decoder reads the labels one place late, behind its start token."""
    config = model.config
    start = config.decoder_start_token_id if config.decoder_start_token_id is not None else config.bos_token_id
    labels = batch["labels"]
    filler = config.pad_token_id if config.pad_token_id is not None else 0
    shifted = torch.cat([labels.new_full((len(labels), 1), start), labels[:, :-1]], dim=1)
    shifted = shifted.masked_fill(shifted == IGNORE, filler)
    # Padding stands on the right only, behind every position that is learnt: causal attention never looks there.
    logits: Tensor = model(
        input_ids=batch["ids"], attention_mask=batch["mask"], decoder_input_ids=shifted, use_cache=False
    ).logits
    return logits


def _full(logits: Tensor) -> Tensor:
    return logits if logits.element_size() >= 4 else logits.float()
