"""What every measured process does alike: two cores, two threads, its own peak of memory. No dependencies."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

CORES = 2


def job() -> dict[str, Any]:
    """What to do, from the command line; the process is bound to two cores before any thread starts."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    made: dict[str, Any] = json.loads(sys.argv[1])
    return made


def environment() -> dict[str, str]:
    """The environment of every measured process: as many threads as cores, nothing looked up elsewhere.

    Threads that wait sleep, for everyone: escalade asks for that itself, and where anything else runs beside a peer,
    spinning halves the peer's speed or worse, which would be measured as its own.
    """
    said = {
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_NUM_THREADS": str(CORES),
        "MKL_NUM_THREADS": str(CORES),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "NO_COLOR": "1",
    }
    return {**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, **said}


def peak_bytes() -> int:
    """The most memory this process has ever had in RAM.

    ``VmHWM`` and not ``ru_maxrss``, into which Linux carries over the size of the process that started this one.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM")


class Clock:
    """When each step ended, and how much had been compiled by then.

    A run makes two passes over its rows: the first warms up, the second is timed as a whole. What is compiled during
    the second, for a length that the first did not meet, is taken off.
    """

    def __init__(self) -> None:
        self.begun = time.perf_counter()
        self.ends: list[float] = []
        self.compiled: list[float] = []

    def tick(self) -> None:
        """A step has ended."""
        self.ends.append(time.perf_counter())
        self.compiled.append(compile_seconds())

    def passes(self) -> dict[str, float]:
        """Seconds of the first pass, with start-up and compilation; of the second without; and all compilation."""
        half, end = len(self.ends) // 2, self.ends[-1]
        if half == 0:
            return {"warm_seconds": end - self.begun, "seconds": 0.0, "compile_seconds": self.compiled[-1]}
        return {
            "warm_seconds": self.ends[half - 1] - self.begun,
            "seconds": end - self.ends[half - 1] - (self.compiled[-1] - self.compiled[half - 1]),
            "compile_seconds": self.compiled[-1],
        }

    def in_second(self, moment: float) -> bool:
        """Whether a moment lies in the second pass."""
        return self.ends[max(0, len(self.ends) // 2 - 1)] < moment <= self.ends[-1]


def compile_seconds() -> float:
    """Seconds ``torch.compile`` has taken in this process so far, as it accounts for them itself."""
    utils = sys.modules.get("torch._dynamo.utils")
    return float(utils.calculate_time_spent()["total_wall_time"]) if utils else 0.0


def answer(found: dict[str, Any]) -> None:
    """One JSON line, the last of the process."""
    sys.stdout.flush()
    print(json.dumps(found), flush=True)
