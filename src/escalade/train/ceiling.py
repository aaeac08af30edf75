"""How fast this machine could go: its matrix products at the model's own shapes, and how many a step asks for."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from escalade.protocols import Objective, Row
from escalade.train.batches import on_device
from escalade.train.losses import IGNORE, model_inputs

_REPEATS = 7
_TOKENS = 4096


def operations_of(objective: Objective, model: Any, row: Row) -> float:
    """Operations of a training step for each token, counted on one row."""
    batch = on_device(objective.collate([row], [0]), next(model.parameters()).device)
    try:
        learnt = int((batch["labels"] != IGNORE).sum())
        return operations_per_token(model, model_inputs(model, batch), learnt)
    except (TypeError, ValueError, KeyError, RuntimeError):
        # Batches of another make: by the rule of thumb, 6 for each parameter (Kaplan et al. 2020, section 2.1).
        return 6.0 * sum(p.numel() for p in model.parameters())


def operations_per_token(model: Any, inputs: dict[str, Any], learnt: Any) -> float:
    """Operations of a training step for each token it works on: a forward pass counted, and what backward adds.

    Backward computes two products for each of forward's: the gradient of what is read and that of the weight; the
    second falls away where weights are frozen (Hoffmann et al. 2022, appendix F; Hu et al. 2021 for the frozen).

    Args:
        model: What trains.
        inputs: What it reads, with ``input_ids``.
        learnt: How many places of them have a label.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(**inputs)
    head = model.get_output_embeddings()
    table = 2 * head.weight.numel() if head is not None else 0
    tokens = inputs["input_ids"].numel() + inputs.get("decoder_input_ids", inputs["input_ids"][:0]).numel()
    read = inputs.get("decoder_input_ids", inputs["input_ids"]).numel()
    forward = counter.get_total_flops() - table * (read - learnt)
    every, own = (
        sum(p.numel() for p in model.parameters()),
        sum(p.numel() for p in model.parameters() if p.requires_grad),
    )
    return float(forward) / max(1, tokens) * (2 + own / every)


def ceiling(model: Any, bf16: bool) -> float:
    """Operations a second of matrix products at the model's shapes, median of some, weighed by their work.

    Args:
        model: Whose linear layers are looked at.
        bf16: The type training multiplies in.
    """
    parameter = next(model.parameters())
    dtype = torch.bfloat16 if bf16 else parameter.dtype
    shapes = Counter((m.in_features, m.out_features) for m in model.modules() if isinstance(m, nn.Linear))
    seconds = operations = 0.0
    for (width, out), count in shapes.items():
        work = 2 * _TOKENS * width * out * count
        operations += work
        seconds += count * _product(width, out, dtype, parameter.device)
    return operations / seconds if seconds else 0.0


def _product(width: int, out: int, dtype: torch.dtype, device: Any) -> float:
    """Median seconds of one product of ``_TOKENS`` rows."""
    left = torch.ones(_TOKENS, width, dtype=dtype, device=device)
    right = torch.ones(out, width, dtype=dtype, device=device)
    times = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        torch.nn.functional.linear(left, right)
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)
