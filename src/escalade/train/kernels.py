"""What a run computes with, decided before its first step and kept to the last: and why, in words.

Precision and compiling are decided by what the processor is and how long the run will be, not by a timed trial: a trial
may come out differently the next time, and the same run must give the same weights. Packing and the lean loss are used
where a self-test on the run's own rows finds the same loss with and without.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from escalade.catalogue.hardware import processor
from escalade.protocols import Batch, Objective, Row
from escalade.train import compiling, packing
from escalade.train.batches import Micro, micro_batches
from escalade.train.losses import model_inputs
from escalade.train.precision import bf16_pays
from escalade.train.recipe import Recipe

COMPILE_FROM = 180.0
"""Seconds of a run from which compiling pays: it takes 15 to 75 and saves a fifth to a quarter of what follows, and of
networks with dropout more than half."""
_TOLERANCE = 1e-4
"""Relative difference of two ways of computing one loss in float32, beyond which they are not the same."""
_TESTED = 6
"""Rows that the self-tests read: the longest, the shortest and some between."""


@dataclass
class Kernels:
    """The choices, and the reason of each as a key of the messages."""

    bf16: bool = False
    compiled: bool = False
    packed: bool = False
    lean: bool = False
    recompute: bool = False
    why: dict[str, str] = field(default_factory=dict)

    def chosen(self) -> dict[str, bool]:
        """The choices alone."""
        return {name: getattr(self, name) for name in ("bf16", "compiled", "packed", "lean", "recompute")}


def decide(
    objective: Objective,
    models: Mapping[str, Any],
    rows: Sequence[Row],
    recipe: Recipe,
    forecast: Callable[[bool], float],
) -> Kernels:
    """What a run computes with.

    Args:
        objective: What is learnt.
        models: By role.
        rows: To learn from.
        recipe: What is asked for.
        forecast: About how many seconds the run will take, told whether rows are packed.
    """
    policy = models["policy"]
    device = next(policy.parameters()).device.type
    bf16, why_bf16 = multiplies_in_bf16(device)
    packed, why_packed = packs(objective, models, rows, recipe.packed)
    lean, why_lean = leans(objective, models, rows)
    compiled, why_compiled = compiles(policy, device, forecast(packed), recipe.compiled)
    why = {"bf16": why_bf16, "packed": why_packed, "lean": why_lean, "compiled": why_compiled}
    return Kernels(bf16, compiled, packed, lean, recipe.recompute, why)


def packs(
    objective: Objective, models: Mapping[str, Any], rows: Sequence[Row], wanted: bool | None
) -> tuple[bool, str]:
    """Whether rows are packed: the objective's batches can be, and the model's loss stays what it is."""
    if wanted is False:
        return False, "train.not_asked"
    some = _some(rows)
    batch = _named(objective.collate(some, list(range(len(some)))), some)
    if not packing.packable(batch) or not hasattr(objective, "pad"):
        return False, "train.packs_not_objective"
    policy = models["policy"]
    lengths = getattr(rows, "lengths", None)
    widest = packing.widest_of(max(row.length for row in rows) if lengths is None else int(lengths.max()))
    parts = micro_batches(some, 1 << 30, widest)
    try:
        with _reading(policy):
            alone = _loss(objective, models, [batch])
            # Each row is hidden by its own seed, which here is its place among those tested.
            seeds = {row.id: i for i, row in enumerate(some)}
            laid = [packed_batch(objective, part, [seeds[row.id] for row in part.rows]) for part in parts]
            together = _loss(objective, models, laid)
            apart = all(_apart(policy, batch) for batch in laid)
    except (TypeError, ValueError, RuntimeError, IndexError, KeyError, AttributeError):
        return False, "train.packs_not_model"
    return (True, "train.packs") if apart and _same(alone, together) else (False, "train.packs_not_model")


def _apart(policy: Any, batch: Batch) -> bool:
    """Whether what stands in a line's first row changes nothing of what the model says of the others.

    The loss alone would not tell: that of an untrained model hardly depends on what it reads.
    """
    device = next(policy.parameters()).device
    moved = {name: part.to(device) if torch.is_tensor(part) else part for name, part in batch.items()}
    first = moved["segments"] == 1
    largest = int(moved["ids"].max())
    changed = {**moved, "ids": torch.where(first, largest - moved["ids"], moved["ids"])}
    one, two = (policy(**model_inputs(policy, some)).logits for some in (moved, changed))
    others = moved["segments"] > 1
    return bool((one[others] == two[others]).all()) and not bool((one[first] == two[first]).all())


def packed_batch(objective: Any, part: Micro, seeds: Sequence[int]) -> Batch:
    """A micro-batch collated, and laid into its lines."""
    batch = _named(objective.collate(part.rows, seeds), part.rows)
    return packing.pack(batch, part.lines or [], objective.pad, causal=objective.family == "decoder")


def leans(objective: Objective, models: Mapping[str, Any], rows: Sequence[Row]) -> tuple[bool, str]:
    """Whether the loss comes without logits: the model's logits are what its output layer gives, and nothing more."""
    policy = models["policy"]
    head = getattr(policy, "get_output_embeddings", lambda: None)()
    if type(head) is not nn.Linear:
        return False, "train.leans_not_head"
    some = _some(rows)
    batch = _named(objective.collate(some, list(range(len(some)))), some)
    try:
        with _reading(policy):
            usual = _loss(objective, models, [batch])
            lean = _loss(objective, models, [{**batch, "lean": "eager"}])
            plain = _hands_on_its_logits(objective, models, batch, head)
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError):
        return False, "train.leans_not_model"
    return (True, "train.leans") if plain and _same(usual, lean) else (False, "train.leans_not_model")


def _hands_on_its_logits(objective: Objective, models: Mapping[str, Any], batch: Batch, head: nn.Linear) -> bool:
    """Whether the model changes nothing in what its output layer gives, be it large or small.

    A cap on logits is next to nothing while they are small, as those of an untrained model are: so it is asked with an
    output layer whose outputs are large. Where the loss stays what these outputs alone give, there is no cap.
    """
    table = head.weight.detach().clone()
    try:
        # About 100 at the largest, whatever the weights are.
        scale = 100 / max(1e-6, float(table.abs().max()) * table.shape[1] ** 0.5)
        head.weight.mul_(scale)
        return _same(_loss(objective, models, [batch]), _loss(objective, models, [{**batch, "lean": "eager"}]))
    finally:
        head.weight.copy_(table)


def compiles(model: Any, device: str, seconds: float, wanted: bool | None) -> tuple[bool, str]:
    """Whether layers are compiled: on a processor, with a compiler, in a run long enough for it to pay."""
    if wanted is False:
        return False, "train.not_asked"
    if device != "cpu":
        return False, "train.compiles_not_here"
    if compiling.compiler() is None:
        return False, "train.compiles_no_compiler"
    if not compiling.layers(model):
        return False, "train.compiles_no_layers"
    if wanted is None and seconds < COMPILE_FROM:
        return False, "train.compiles_too_short"
    return True, "train.compiles"


def multiplies_in_bf16(device: str) -> tuple[bool, str]:
    """Whether products are computed in bfloat16."""
    return (True, "train.bf16") if bf16_pays(device) else (False, "train.bf16_not_here")


def forecast_seconds(operations: float, device: str, cores: int) -> float:
    """Seconds that so many operations take by the processor's card; none on accelerators, whose card there is not."""
    return operations / (processor().flops_per_core * max(1, cores)) if device == "cpu" else 0.0


def _some(rows: Sequence[Row]) -> list[Row]:
    """A few rows of all lengths; their ids differ."""
    by_length = sorted(range(min(len(rows), 512)), key=lambda i: rows[i].length)
    places = {round(k * (len(by_length) - 1) / max(1, _TESTED - 1)) for k in range(_TESTED)}
    return list({rows[by_length[k]].id: rows[by_length[k]] for k in sorted(places)}.values())


def _named(batch: Batch, rows: Sequence[Row]) -> Batch:
    """The batch with the ids of its rows, as the engine gives it."""
    return {**batch, "names": [row.id for row in rows]}


def _loss(objective: Objective, models: Mapping[str, Any], batches: Sequence[Batch]) -> float:
    device = next(models["policy"].parameters()).device
    total = 0.0
    for batch in batches:
        moved = {name: part.to(device) if torch.is_tensor(part) else part for name, part in batch.items()}
        total += sum(float(part) for part in objective.totals(models, moved).values())
    return total


@contextmanager
def _reading(model: Any) -> Iterator[None]:
    """Eval mode, so that dropout does not blur the comparison, and no gradients; as it was before, afterwards."""
    trained = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(trained)


def _same(one: float, two: float) -> bool:
    return math.isfinite(one) and abs(one - two) <= _TOLERANCE * max(1.0, abs(one))
