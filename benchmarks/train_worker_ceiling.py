"""How fast this machine multiplies bfloat16 matrices of a model's own shapes; prints one JSON line.

The job is ``{"shapes": [[tokens, given, made, times], ...], "seconds"}``: each weight matrix with the three products
of a training step, tokens x given x made, that of the input's gradient and that of the weights'.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from train_worker_shared import CORES, answer, job

JOB = job()

import escalade  # noqa: E402, F401, I001 (before torch, so that waiting threads sleep)
import torch  # noqa: E402


def median_seconds(work: Callable[[], object], room: float) -> float:
    """Median of as many runs as fit into ``room`` seconds, at least five, after two that warm up."""
    work(), work()
    times: list[float] = []
    until = time.perf_counter() + room
    while len(times) < 5 or time.perf_counter() < until:
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def measured(said: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(CORES)
    torch.manual_seed(0)
    speeds, flops, seconds = [], 0.0, 0.0
    room = said["seconds"] / (3 * len(said["shapes"]))
    for tokens, given, made, times in said["shapes"]:
        x, w, g = (torch.randn(*shape).bfloat16() for shape in ((tokens, given), (made, given), (tokens, made)))
        for work in (lambda x=x, w=w: x @ w.T, lambda g=g, w=w: g @ w, lambda g=g, x=x: g.T @ x):
            took = median_seconds(work, room)
            one = 2.0 * tokens * given * made
            speeds.append(one / took)
            flops, seconds = flops + one * times, seconds + took * times
    return {"flops_per_second": flops / seconds, "median": statistics.median(speeds), "speeds": speeds}


if __name__ == "__main__":
    answer(measured(JOB))
