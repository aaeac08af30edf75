"""Several processes that train one model: each works off its share of every step, sums are made over all.

Started by ``torchrun``, which tells each process its number; started alone, a world of one in which nothing is sent.
Since losses and counts are summed over the whole step before they are divided, many processes compute what one does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """This process among those that train together."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes checkpoints and decides."""
        return self.rank == 0

    def share(self, parts: Sequence[T]) -> list[T]:
        """What of the parts of a step falls to this process."""
        return list(parts[self.rank :: self.size])

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Each number summed over all processes."""
        if self.size == 1:
            return list(numbers)
        made = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(made)
        return made.tolist()

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Every parameter's gradient becomes the sum over all processes."""
        if self.size == 1:
            return
        every = list(parameters)
        # What no process used has no gradient anywhere, as in one process: a gradient of zero would let it decay.
        used = self.total([float(parameter.grad is not None) for parameter in every])
        with torch.no_grad():
            grads = []
            for parameter, count in zip(every, used, strict=True):
                if not count:
                    continue
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                grads.append(parameter.grad)
            flat = torch.cat([grad.flatten() for grad in grads])
            dist.all_reduce(flat)
            for grad, part in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
                grad.copy_(part.view_as(grad))

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""
        return bool(self.total([float(flag)])[0])

    def told(self, thing: T) -> T:
        """What the leading process has, in every process."""
        if self.size == 1:
            return thing
        held: list[Any] = [thing]
        dist.broadcast_object_list(held, src=0)
        told: T = held[0]
        return told


def joined() -> World:
    """The world this process belongs to, which it joins where ``torchrun`` started it."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or "MASTER_ADDR" not in os.environ:
        return World()
    if not dist.is_initialized():
        dist.init_process_group("gloo")
    return World(dist.get_rank(), dist.get_world_size())
