"""Hardware cards: what a kind of processor reaches in training, read off what the processor says it can do. No torch.

The rates only order attempts and fit them into a budget; what an attempt really took is recorded beside its forecast.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

_INFO = Path("/proc/cpuinfo")
_MEMORY = Path("/proc/meminfo")
_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


@dataclass(frozen=True)
class ProcessorCard:
    """A kind of processor."""

    name: str
    needs: frozenset[str]
    """Instruction sets that it has, as Linux names them."""
    flops_per_core: float
    """Operations a second that small Transformer steps reach on one core, in the precision training takes there."""
    bf16: bool
    """True where bfloat16 matrix products run in hardware. Without it they are emulated, and far slower."""


_CARDS = (
    # Measured on two cores, 832 tokens a step: 176e9 operations a second for both (22M parameters), 83e9 (0.5M).
    ProcessorCard("AVX512-BF16", frozenset({"avx512_bf16"}), 60e9, bf16=True),
    ProcessorCard("AMX", frozenset({"amx_bf16"}), 60e9, bf16=True),
    ProcessorCard("Arm with BF16", frozenset({"bf16"}), 40e9, bf16=True),
    ProcessorCard("AVX512", frozenset({"avx512f"}), 40e9, bf16=False),
)
_PLAIN = ProcessorCard("other", frozenset(), 27e9, bf16=False)
"""Measured on two cores of a server processor with AVX2: 30 to 60e9 for both."""


@cache
def processor() -> ProcessorCard:
    """The card of this machine's processor: the first whose instruction sets it has."""
    flags = instruction_sets(_INFO.read_text() if _INFO.exists() else "")
    return next((card for card in _CARDS if card.needs <= flags), _PLAIN)


def instruction_sets(info: str) -> frozenset[str]:
    """The instruction sets that a ``/proc/cpuinfo`` lists; empty where it lists none, as on other systems."""
    lines = (line.partition(":") for line in info.splitlines())
    return frozenset(flag for key, _, value in lines if key.strip() in ("flags", "Features") for flag in value.split())


def memory_available() -> float | None:
    """Bytes that a program can still take here, as Linux tells it; None elsewhere.

    A container's own limit counts where it is lower (control groups, version 2).
    """
    found = _kilobytes(_read(_MEMORY), "MemAvailable")
    limit, used = _read(_LIMIT).strip(), _read(_USED).strip()
    if limit.isdigit() and used.isdigit():
        left = float(int(limit) - int(used))
        return left if found is None else min(left, found)
    return found


def _kilobytes(info: str, name: str) -> float | None:
    for line in info.splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return float(value.split()[0]) * 1024
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
