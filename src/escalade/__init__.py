"""escalade: from a task to a model that provably does it, by the cheapest way there is.

The verbs of the command line are functions here, loaded when first used::

    import escalade
    document = escalade.run("my-project")
    escalade.predict("my-project/releases/task", ["a text"])
"""

from __future__ import annotations

import importlib
import os
from typing import Any

# Threads that wait must sleep rather than spin: on a machine that does other work too, spinning made small training
# steps up to fifteen times slower. It has to be said before any library starts its threads; the user's own word stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_VERBS = ("check", "compare", "predict", "pretrain", "run", "score", "serve", "stream")
__all__ = [*_VERBS, "metric"]


def __getattr__(name: str) -> Any:
    if name == "metric":
        return importlib.import_module("escalade.catalogue.own").metric
    if name in _VERBS:
        return getattr(importlib.import_module("escalade.api"), name)
    raise AttributeError(f"module 'escalade' has no attribute {name!r}")
