"""One step of any objective.

Counts are summed over the whole step before anything is divided by them, so that the gradient is the same however the
step is split into micro-batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from escalade.errors import BadInput
from escalade.protocols import Batch, Objective

_NAMED = 8
"""Rows that an error names."""


Total = Callable[[Sequence[float]], Sequence[float]]
"""Numbers of this process in, their sums over all processes out."""


def accumulate(
    objective: Objective,
    models: Mapping[str, Any],
    batches: Sequence[Batch],
    place: object = "",
    bf16: bool = False,
    total: Total = list,
) -> float:
    """Adds the gradient of sum over terms of weight x total / count to the policy's parameters.

    Args:
        objective: What is learnt.
        models: By role.
        batches: The micro-batches of one step, on the models' device.
        place: Named in errors.
        bf16: Run the models under bfloat16 autocast.
        total: Sums over all processes that share the step.

    Returns:
        The loss of these micro-batches, each term divided by its count in the whole step.

    Raises:
        BadInput: A term is not a finite number; the rows are named where the batch tells them.
    """
    counts = _everywhere(objective, summed(objective.counts(batch) for batch in batches), total)
    if not any(counts.values()):
        names = [name for batch in batches for name in batch.get("names", ())]
        raise BadInput("train.nothing_in_step", place=place, rows=_few(names))
    loss = 0.0
    for batch in batches:
        with autocast(batch["ids"].device, bf16):
            sums = objective.totals(models, batch)
        parts = {term: objective.weights[term] * part / max(1, counts[term]) for term, part in sums.items()}
        values = {term: float(part.detach()) for term, part in parts.items()}
        for term, value in values.items():
            if not math.isfinite(value):
                raise not_finite(term, batch, place)
        torch.stack(list(parts.values())).sum().backward()
        loss += math.fsum(values.values())
    return loss


@torch.no_grad()
def mean_loss(
    objective: Objective, models: Mapping[str, Any], batches: Iterable[Batch], bf16: bool = False, total: Total = list
) -> float:
    """The loss over many batches, the policy in eval mode: terms are summed over all before they are divided."""
    counts: dict[str, int] = {}
    sums = dict.fromkeys(objective.weights, 0.0)
    names: list[str] = []
    models["policy"].eval()
    for batch in batches:
        names += batch.get("names", ())
        counts = summed((counts, objective.counts(batch)))
        with autocast(batch["ids"].device, bf16):
            for term, part in objective.totals(models, batch).items():
                sums[term] += float(part)
    counts = _everywhere(objective, counts, total)
    whole = dict(zip(sums, total([*sums.values()]), strict=True))
    for term, value in whole.items():
        if not math.isfinite(value):
            raise not_finite(term, {"names": names}, "validation")
    return math.fsum(objective.weights[term] * part / max(1, counts[term]) for term, part in whole.items())


def _everywhere(objective: Objective, counts: Mapping[str, int], total: Total) -> dict[str, int]:
    """Counts of every term over all processes."""
    terms = [*objective.weights]
    numbers = total([counts.get(term, 0) for term in terms])
    return {term: int(number) for term, number in zip(terms, numbers, strict=True)}


def summed(counts: Any) -> dict[str, int]:
    """Counts of many batches, term by term."""
    made: dict[str, int] = {}
    for one in counts:
        for term, count in one.items():
            made[term] = made.get(term, 0) + int(count)
    return made


def autocast(device: Any, bf16: bool) -> AbstractContextManager[Any]:
    """Bfloat16 autocast, or nothing."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if bf16 else nullcontext()


def not_finite(term: str, batch: Batch, place: object) -> BadInput:
    """The error for a loss or gradient that is no number, with the rows it came from."""
    return BadInput("train.not_finite", place=place, term=term, rows=_few(list(batch.get("names", ()))))


def _few(names: Sequence[str]) -> str:
    """The first names, and how many there are where these are not all."""
    return ", ".join(names[:_NAMED]) + (f", ... ({len(names)})" if len(names) > _NAMED else "")
