"""Dropout for processors, several times faster than the library's, which draws its random numbers one after another.

At a rate of 0.1 a step of T5 or BERT spent a fifth of its time on drawing them. A mask needs no long chain of random
numbers: inside a compiled layer each place is hashed with two words of the call's own, which the compiler fuses with
what stands around it and computes again in the backward pass, so that no mask is kept; elsewhere four places share one
draw of 64 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

_library = F.dropout
_GOLDEN = 0x9E3779B1 - (1 << 32)
_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B - (1 << 32)
"""Multipliers of a 32-bit mixing function found by search (Wellons, "Prospecting for Hash Functions", 2018); negative
where they would be too large for a signed number."""
_OPS = torch.library.Library("escalade", "FRAGMENT")
"""Holds what is registered in it for as long as it lives."""
_OPS.define("held(Tensor given) -> Tensor")


@torch.library.impl(_OPS, "held", "CompositeExplicitAutograd")
def _held(given: Tensor) -> Tensor:
    """What was given, as numbers in memory: the compiler would draw a seed anew for every 16 places that need it."""
    return given.clone()


@torch.library.register_fake("escalade::held", lib=_OPS)  # type: ignore[untyped-decorator]
def _held_like(given: Tensor) -> Tensor:
    return torch.empty_like(given)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each place is 0 with probability ``p``, else divided by 1 - p (Srivastava et al. 2014); on processors.

    What is dropped depends on torch's generator and so on its seed, but differs between compiled and not.

    Args:
        input: Of any shape.
        p: Probability, to 2^-24 where compiled, else to 2^-16.
        training: Nothing is dropped where false.
        inplace: Given to the library's, which serves such calls, and whatever is not on a processor.
    """
    if not training or p == 0.0:
        return input
    if inplace or input.device.type != "cpu" or not 0.0 <= p < 1.0:
        return _library(input, p, training, inplace)
    if torch.compiler.is_compiling():
        keep, share = _hashed(input, 1.0 - p)
    else:
        keep, share = _drawn(input, 1.0 - p)
    return torch.where(keep, input * (1.0 / share), 0.0)


def _hashed(like: Tensor, share: float) -> tuple[Tensor, float]:
    """Which places are kept: those whose number, hashed with two words of the call's own, falls below a bound.

    One word alone would make all masks windows of one sequence.
    """
    drawn = torch.randint(-(1 << 31), 1 << 31, (2,), dtype=torch.int64, device=like.device).to(torch.int32)
    words = torch.ops.escalade.held(drawn)
    code = torch.arange(like.numel(), dtype=torch.int32, device=like.device).view(like.shape) * _GOLDEN + words[0]
    # Shifts of signed numbers drag the sign along: it is masked away. Products wrap around, as all hashing does.
    code = (code ^ ((code >> 16) & 0xFFFF)) * _FIRST
    code = (code ^ ((code >> 15) & 0x1FFFF) ^ words[1]) * _SECOND
    # Compared as floats: the compiler takes a rounded bound for a constant and uses it for other rates too.
    return code.to(torch.float32) < (share - 0.5) * 2.0**32, share


def _drawn(like: Tensor, share: float) -> tuple[Tensor, float]:
    """Which places are kept, by 16 random bits each, and their share as it is with so few."""
    count = like.numel()
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(1 << 63), None).view(torch.int16)[:count]
    bound = max(1, round(share * (1 << 16)))
    return bits.view(like.shape) <= bound - 1 - (1 << 15), bound / (1 << 16)


@contextmanager
def replaced() -> Iterator[None]:
    """Models drop out this way inside, as their modules call the library's function by its name.

    Only what the library's fused attention drops of its weights it goes on dropping itself. For one run a process: the
    end of one would put the library's back under another.
    """
    F.dropout = dropout
    try:
        yield
    finally:
        F.dropout = _library
