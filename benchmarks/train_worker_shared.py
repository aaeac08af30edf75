"""What every measured process does alike: two cores, two threads, its own peak of memory. No dependencies."""

from __future__ import annotations

import json
import os
import sys
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


def seconds_of(ends: list[float], begun: float) -> tuple[float, float]:
    """Seconds of the first half of the steps, start-up and compilation included, and of the second half.

    A run makes two passes over its rows: the first warms up, the second is timed as a whole.
    """
    half = len(ends) // 2
    if half == 0:
        return ends[-1] - begun, 0.0
    return ends[half - 1] - begun, ends[-1] - ends[half - 1]


def answer(found: dict[str, Any]) -> None:
    """One JSON line, the last of the process."""
    sys.stdout.flush()
    print(json.dumps(found), flush=True)
