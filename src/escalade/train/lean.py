"""Cross-entropy of a vocabulary that never holds its logits: the output layer, softmax and gradient, piece by piece.

The logits of a step are most of the memory of a small model: 16 rows of 512 tokens over 50,000 entries take 1.6 GB in
float32, and their gradient as much again. Here a few hundred positions at a time go through output layer, softmax and
back, so that what stays is the gradient of the hidden states and of the output layer itself. The gradient of a softmax
with cross-entropy is p - y, known as soon as the logits are, so nothing is computed twice.

Only for models whose logits are what their output layer gives: ``train.kernels`` checks that before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

Lean = Literal["eager", "compiled"]
PIECE = 1 << 22
"""Logits held at a time, as numbers."""


def head_loss(hidden: Tensor, head: Any, labels: Tensor, how: Lean = "eager") -> Tensor:
    """Summed cross-entropy in nats of an output layer, without its logits.

    Args:
        hidden: (n, width), what the output layer reads.
        head: The output layer: ``weight`` (vocabulary, width) and perhaps ``bias``.
        labels: (n,), each a token.
        how: Whether softmax and its gradient are one compiled kernel.

    Returns:
        A scalar, float32 at least.
    """
    loss: Tensor = _HeadLoss.apply(hidden, head.weight, getattr(head, "bias", None), labels, how)
    return loss


@contextmanager
def without_head(model: Any, learnt: Tensor) -> Iterator[None]:
    """The model's output layer hands on what it reads, at the places that are learnt.

    Args:
        model: With an output layer.
        learnt: (rows, tokens), true where a label is learnt.
    """
    head = model.get_output_embeddings()
    # BART adds a bias of its own to the logits; where it is nothing, it must not want their shape.
    bias = getattr(model, "final_logits_bias", None)
    head.forward = lambda hidden: hidden[learnt]
    if bias is not None:
        model.final_logits_bias = bias[:, :1]
    try:
        yield
    finally:
        del head.forward
        if bias is not None:
            model.final_logits_bias = bias


class _HeadLoss(torch.autograd.Function):
    """Loss and gradients in one pass over the positions."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, how: Lean) -> Tensor:
        dtype, soft = _dtype(hidden), _softmax(how)
        learns_hidden, learns_weight, learns_bias = ctx.needs_input_grad[:3]
        full = torch.promote_types(hidden.dtype, torch.float32)
        table = weight.detach().to(dtype)
        offset = None if bias is None else bias.detach().to(dtype)
        loss = torch.zeros((), dtype=full, device=hidden.device)
        into_hidden = torch.empty_like(hidden) if learns_hidden else None
        into_weight = torch.zeros_like(weight) if learns_weight else None
        into_bias = torch.zeros_like(bias) if bias is not None and learns_bias else None
        step = max(1, PIECE // len(table))
        for at in range(0, len(hidden), step):
            part = hidden.detach()[at : at + step].to(dtype)
            # A copy: of a view the compiler also fixes what it is a view of, and compiles again for another.
            nats, slope = soft(torch.nn.functional.linear(part, table, offset), labels[at : at + step].clone())
            loss += nats
            if into_hidden is not None:
                into_hidden[at : at + step] = slope @ table
            if into_weight is not None:
                into_weight += slope.t() @ part
            if into_bias is not None:
                into_bias += slope.sum(dim=0)
        ctx.save_for_backward(into_hidden, into_weight, into_bias)
        return loss

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        scaled = (None if part is None else part * above[0].to(part.dtype) for part in ctx.saved_tensors)
        return (*scaled, None, None)


def _dtype(hidden: Tensor) -> torch.dtype:
    """What products are computed in: autocast's type where it is on."""
    device = hidden.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype


def _nats_and_slope(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy, and its gradient p - y in the logits' type; logits (n, vocabulary), labels (n,)."""
    full = logits if logits.element_size() >= 4 else logits.float()
    total = full.logsumexp(dim=-1, keepdim=True)
    nats = (total - full.gather(1, labels[:, None])).sum()
    truth = torch.arange(logits.shape[1], device=logits.device)[None] == labels[:, None]
    return nats, (torch.exp(full - total) - truth.to(full.dtype)).to(logits.dtype)


@cache
def _softmax(how: Lean) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    return torch.compile(_nats_and_slope, dynamic=True) if how == "compiled" else _nats_and_slope
