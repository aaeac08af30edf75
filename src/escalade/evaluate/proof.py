"""Has a target been proven?"""

from __future__ import annotations

from escalade.project import Target


def passes(bound: float, target: Target) -> bool:
    """True where the decision's bound reaches the target: the lower one at least, or the upper one at most."""
    return bound >= target.bound if target.rising else bound <= target.bound
