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
    """Summed cross-entropy in nats, in float32 at least.

    Args:
        logits: (n, classes).
        labels: (n,); those that are IGNORE do not count.

    Returns:
        A scalar.
    """
    full = logits if logits.element_size() >= 4 else logits.float()
    return F.cross_entropy(full, labels, reduction="sum", ignore_index=IGNORE)


def token_loss(model: Any, batch: dict[str, Any]) -> Tensor:
    """Summed cross-entropy in nats over the labels of a batch; a scalar."""
    labels = batch["labels"]
    return cross_entropy_sum(learnt_logits(model, batch), labels[labels != IGNORE])


def sequence_log_probability(model: Any, batch: dict[str, Any]) -> Tensor:
    """Sum of the log-probabilities of each row's labels, IGNORE left out; (rows,)."""
    labels = batch["labels"]
    learnt = labels != IGNORE
    logits = learnt_logits(model, batch)
    loss = F.cross_entropy(logits if logits.element_size() >= 4 else logits.float(), labels[learnt], reduction="none")
    return torch.zeros(labels.shape, dtype=loss.dtype, device=loss.device).masked_scatter(learnt, -loss).sum(dim=1)


def learnt_logits(model: Any, batch: dict[str, Any]) -> Tensor:
    """Logits at the places whose label is learnt, and no others: (labels that are not IGNORE, vocabulary).

    The output layer is handed these places only. It is most of the work of a small model, and its output most of the
    memory: with masking 85 % of both are saved, with long prompts more. A model that has no output layer to ask for
    (a tagger), or computes its logits in another way, gives all of them, and they are picked here.
    """
    learnt = batch["labels"] != IGNORE
    head = model.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _, inputs: (inputs[0][learnt],)) if head is not None else None
    try:
        logits: Tensor = model(**_inputs(model, batch)).logits
    finally:
        if hook is not None:
            hook.remove()
    return logits if logits.ndim == 2 else logits[learnt]


def _inputs(model: Any, batch: dict[str, Any]) -> dict[str, Any]:
    """What the model reads; the decoder of an encoder-decoder reads the labels one place late, behind its start."""
    inputs = {"input_ids": batch["ids"], "attention_mask": batch["mask"]}
    config = model.config
    if not getattr(config, "is_encoder_decoder", False):
        return inputs
    labels = batch["labels"]
    start = config.decoder_start_token_id if config.decoder_start_token_id is not None else config.bos_token_id
    filler = config.pad_token_id if config.pad_token_id is not None else 0
    shifted = torch.cat([labels.new_full((len(labels), 1), start), labels[:, :-1]], dim=1)
    # Padding stands on the right only, behind every place that is learnt: causal attention never looks there.
    return {**inputs, "decoder_input_ids": shifted.masked_fill(shifted == IGNORE, filler), "use_cache": False}


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
