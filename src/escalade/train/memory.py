"""How much memory this process holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

_STATM = Path("/proc/self/statm")


def used(device: Any) -> int | None:
    """Bytes held now: of an accelerator those allocated, else the process's resident set; None where not told."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    if not _STATM.exists():
        return None
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
