"""Baselines: answers without a neural model. Each can be scored, saved (safetensors and JSON) and shipped.

``METHODS`` names them in the order of their cost; each applies to the kinds it can answer.
"""

from escalade.rungs.baselines.base import Baseline
from escalade.rungs.baselines.linear import Linear, LinearTags
from escalade.rungs.baselines.simple import Copy, Lead, Majority, Nearest

METHODS: dict[str, type[Baseline]] = {
    "majority": Majority,
    "copy": Copy,
    "lead": Lead,
    "nearest": Nearest,
    "linear": Linear,
    "linear-tags": LinearTags,
}

__all__ = ["METHODS", "Baseline", "Copy", "Lead", "Linear", "LinearTags", "Majority", "Nearest"]
