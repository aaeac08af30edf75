"""Whether bfloat16 pays on this processor: measured, not assumed, since without hardware for it it is far slower."""

from __future__ import annotations

import time
from functools import cache

import torch

WORTH = 1.3
"""Times faster that bfloat16 must be to be used."""
_SIDE = {"cpu": 256, "cuda": 4096}


@cache
def bf16_pays(device_type: str) -> bool:
    """True where a matrix product in bfloat16 is at least 1.3 times as fast as in float32."""
    side = _SIDE.get(device_type, 256)
    single = torch.ones(side, side, device=device_type)
    half = single.to(torch.bfloat16)
    return _seconds(single, device_type) >= WORTH * _seconds(half, device_type)


def _seconds(matrix: torch.Tensor, device_type: str) -> float:
    """Best of three, after one to warm up."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        matrix @ matrix
        if device_type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])
