"""Losses as sums, and the small tensor work that objectives share."""

from __future__ import annotations

import inspect
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from escalade.models.heads import base_of
from escalade.train import attention, lean

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
    """Summed cross-entropy in nats over the labels of a batch; a scalar.

    Where the batch says ``lean`` it comes without logits (see ``train.lean``).
    """
    labels = batch["labels"]
    learnt = labels != IGNORE
    how: lean.Lean | None = batch.get("lean")
    if how is None:
        return cross_entropy_sum(learnt_logits(model, batch), labels[learnt])
    with lean.without_head(model, learnt):
        hidden: Tensor = model(**model_inputs(model, batch)).logits
    return lean.head_loss(hidden, model.get_output_embeddings(), labels[learnt], how)


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
        logits: Tensor = model(**model_inputs(model, batch)).logits
    finally:
        if hook is not None:
            hook.remove()
    return logits if logits.ndim == 2 else logits[learnt]


def model_inputs(model: Any, batch: dict[str, Any]) -> dict[str, Any]:
    """What the model reads: ids and a mask, which of a packed batch keeps rows apart, and then positions too.

    The decoder of an encoder-decoder reads the labels one place late, behind its start.
    """
    config = model.config
    # Most decoders keep keys and values, as for generating, unless they are told not to.
    uncached = {"use_cache": False} if "use_cache" in inspect.signature(base_of(model).forward).parameters else {}
    if "segments" in batch:
        mask = _apart(batch["segments"], batch["causal"], config)
        if getattr(config, "_attn_implementation", None) == attention.NAME:
            mask = {k: attention.added(v) for k, v in mask.items()} if isinstance(mask, dict) else attention.added(mask)
        return {"input_ids": batch["ids"], "attention_mask": mask, "position_ids": batch["positions"], **uncached}
    inputs = {"input_ids": batch["ids"], "attention_mask": batch["mask"], **uncached}
    if not getattr(config, "is_encoder_decoder", False):
        return inputs
    labels = batch["labels"]
    start = config.decoder_start_token_id if config.decoder_start_token_id is not None else config.bos_token_id
    filler = config.pad_token_id if config.pad_token_id is not None else 0
    shifted = torch.cat([labels.new_full((len(labels), 1), start), labels[:, :-1]], dim=1)
    # Padding stands on the right only, behind every place that is learnt: causal attention never looks there.
    return {**inputs, "decoder_input_ids": shifted.masked_fill(shifted == IGNORE, filler)}


def _apart(segments: Tensor, causal: bool, config: Any) -> Tensor | dict[str, Tensor]:
    """(lines, 1, width, width), true where a token may look: at its own row, of a decoder only at what is before.

    A model whose layers differ in how far they look gets a mask for each kind of layer.
    """
    place = torch.arange(segments.shape[1], device=segments.device)
    ahead = place[None] - place[:, None]
    whole = segments[:, None, :, None] == segments[:, None, None, :]
    whole = whole & (ahead <= 0) if causal else whole
    if "sliding_attention" not in (getattr(config, "layer_types", None) or ()):
        return whole
    near = ahead > -config.sliding_window if causal else ahead.abs() <= config.sliding_window
    return {"full_attention": whole, "sliding_attention": whole & near}
