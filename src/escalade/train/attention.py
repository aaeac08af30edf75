"""Attention written out, for the compiler to fuse: on processors, short rows are worked off faster so.

The fused attention of the library walks over blocks that are made for long rows; its backward pass took a quarter of a
step of a 7M decoder at 256 tokens, where attention is a tenth of the work. Written out, the compiler joins scaling,
mask and softmax into one pass and the products run at the speed of all others. Weights are divided by their sum only
after they have been multiplied with the values, which are far fewer numbers, and then the backward pass needs no sum
over a row either (Dao et al. 2022, appendix B). Its memory grows with the square of the row, so it is for rows of up to
``LONGEST`` tokens. Not compiled, it is slower than the library's.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

NAME = "escalade"
_UNKNOWN = ("softcap", "s_aux")
"""What some models add to their scores (Gemma 2, gpt-oss): such a model keeps the library's attention."""
LONGEST = 512
_UNSEEN = -1e30
"""Added to the score of what a token may not look at; finite, so that a token that sees nothing is no NaN."""


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    position_bias: Tensor | None = None,
    is_causal: bool | None = None,
    **more: object,
) -> tuple[Tensor, None]:
    """Softmax(scaling x query x key + bias) x value (Vaswani et al. 2017, equation 1), softmax in float32 at least.

    Args:
        module: The layer: its groups of heads that share keys, and whether it is causal and in training.
        query: (rows, heads, tokens, width of a head).
        key: (rows, key heads, keys, width of a head).
        value: As ``key``.
        attention_mask: (rows, 1, tokens, keys), true where a token may look, or numbers to add; None for all or, of a
            causal layer, for all before.
        dropout: Share of the attention that is dropped.
        scaling: 1 / sqrt(width of a head) where left out.
        position_bias: (1 or rows, heads, tokens, keys), added to the scores.
        is_causal: Instead of the layer's own.
        more: What other implementations want.

    Returns:
        (rows, tokens, heads, width of a head), and no weights.
    """
    if any(more.get(name) is not None for name in _UNKNOWN):
        raise ValueError(f"attention with {', '.join(_UNKNOWN)} is not written out here")
    groups = getattr(module, "num_key_value_groups", 1)
    if groups > 1:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    scores = torch.matmul(query, key.transpose(2, 3))
    scores = scores if scores.element_size() >= 4 else scores.float()
    scores = scores * (scaling if scaling is not None else query.shape[-1] ** -0.5)
    if position_bias is not None:
        scores = scores + position_bias
    causal = getattr(module, "is_causal", False) if is_causal is None else is_causal
    if attention_mask is None and causal and query.shape[2] > 1:
        attention_mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).tril()
    if attention_mask is not None:
        scores = scores + (added(attention_mask) if attention_mask.dtype == torch.bool else attention_mask)
    # 2^x and not e^x: that one the compiler writes to memory in float32 and reads again for the sum.
    weights = torch.exp2((scores - scores.detach().amax(dim=-1, keepdim=True)) * math.log2(math.e)).to(query.dtype)
    total = weights.sum(dim=-1, keepdim=True, dtype=scores.dtype)
    if dropout:
        weights = F.dropout(weights, p=dropout, training=module.training)
    made = (torch.matmul(weights, value) / total).to(query.dtype)
    return made.transpose(1, 2).contiguous(), None


def added(mask: Tensor) -> Tensor:
    """A mask of true and false as numbers to add to scores.

    Made once for all layers: reading a mask of bits took compiled layers longer than all else in attention.
    """
    return torch.where(mask, 0.0, _UNSEEN)


def mask(*args: Any, **how: Any) -> Tensor:
    """The library's mask, made for every batch: one that has no padding would have layers compiled a second time."""
    return added(sdpa_mask(*args, **{**how, "allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}))


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, mask)
