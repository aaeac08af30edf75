"""Before any model is tried: can this test set prove this target, and how many items would it take?

All of it is exact for a share of independent rows (accuracy, exact match) and a fair guide for other metrics on a
bounded range. Rows that come in groups count as ``rows / design effect``, or, cautiously, as the number of groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import bdtrc, bdtrik, ndtri

from escalade.catalogue.metrics import MetricCard
from escalade.evaluate.statistics import look_error
from escalade.project import Target

_MOST = 10**9


@dataclass(frozen=True)
class Provable:
    """Whether a target can be proven on so many items, at the first look at them."""

    possible: bool
    best: float
    """The bound that a flawless result would give."""
    needed: int | None
    """Items from which a flawless result proves the target; None where no number would."""


def provable(n: int, target: Target, metric: MetricCard) -> Provable:
    """Whether any result on ``n`` independent items, or groups of items, could prove the target.

    Args:
        n: What intervals resample: rows, or groups where rows belong together.
        target: What to reach, with its confidence.
        metric: Gives the range: what a flawless result would be.
    """
    error, span = look_error(target.confidence, 1), metric.high - metric.low
    reach = span * error ** (1 / n) if n else 0.0
    best = metric.low + reach if target.rising else metric.high - reach
    wanted = (target.bound - metric.low if target.rising else metric.high - target.bound) / span
    needed = None if wanted >= 1 else 1 if wanted <= 0 else math.ceil(math.log(error) / math.log(wanted) - 1e-9)
    return Provable(needed is not None and n >= needed, best, needed)


def items_needed(
    value: float,
    target: float,
    confidence: float = 0.95,
    design_effect: float = 1.0,
    *,
    rising: bool = True,
    power: float = 0.8,
    look: int = 1,
) -> int | None:
    """How many test items prove a target that a model of true score ``value`` meets; None where it does not meet it.

    Args:
        value: The true share.
        target: The share to reach.
        confidence: Of the target.
        design_effect: How many rows are worth one independent one (1 + (rows per group - 1) x correlation).
        rising: True for at least, False for at most.
        power: Chance that the proof succeeds.
        look: Which look at the test set it will be.
    """
    if not rising:
        value, target = 1 - value, 1 - target
    if value <= target:
        return None
    error = look_error(confidence, look)
    few, many = 0, 1
    while _power(value, target, many, error) < power:
        few, many = many, 2 * many
        if many > _MOST:
            return None
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if _power(value, target, middle, error) >= power else (middle, many)
    return math.ceil(many * design_effect)


def score_needed(
    n: int,
    target: float,
    confidence: float = 0.95,
    design_effect: float = 1.0,
    *,
    rising: bool = True,
    power: float = 0.8,
) -> float | None:
    """The true share a model needs so that ``n`` items prove the target; None where not even a flawless one does.

    Args:
        n: Test items.
        target: The share to reach.
        confidence: Of the target.
        design_effect: As for :func:`items_needed`.
        rising: True for at least, False for at most.
        power: Chance that the proof succeeds.
    """
    if not rising:
        target = 1 - target
    error, items = look_error(confidence, 1), math.floor(n / design_effect)
    if items < 1 or _power(1.0, target, items, error) < power:
        return None
    below, above = max(0.0, target), 1.0
    while above - below > 1e-6:
        middle = (below + above) / 2
        below, above = (below, middle) if _power(middle, target, items, error) >= power else (middle, above)
    return above if rising else 1 - above


def smallest_difference(spread: float, n: int, wanted: int, confidence: float = 0.95, power: float = 0.8) -> float:
    """The difference between two models that a paired test on ``wanted`` items shows, in the metric's own units.

    (z of the confidence + z of the power) times the standard error of the difference, which shrinks with the root of
    the items (Cohen 1988, chapter 2).

    Args:
        spread: Standard error of a difference measured on ``n`` items (``statistics.difference_spread``).
        n: Items, or groups, it was measured on.
        wanted: Items, or groups, of the test to come.
        confidence: Two-sided, of the test.
        power: Chance that such a difference is shown.
    """
    return float(ndtri((1 + confidence) / 2) + ndtri(power)) * spread * math.sqrt(n / wanted)


def items_for_difference(
    difference: float, spread: float, n: int, confidence: float = 0.95, power: float = 0.8
) -> int | None:
    """How many items show a difference between two models; None where there is none to show.

    Args:
        difference: To be shown, in the metric's own units.
        spread: As for :func:`smallest_difference`.
        n: As there.
        confidence: As there.
        power: As there.
    """
    if difference == 0:
        return None
    return max(2, math.ceil(n * (smallest_difference(spread, n, n, confidence, power) / difference) ** 2))


def _power(value: float, target: float, n: int, error: float) -> float:
    """Chance that the exact lower bound of ``n`` items of that true share reaches the target."""
    if target <= 0:
        return 1.0
    if target >= 1:
        return 0.0
    least = _least_successes(n, target, error)
    return 0.0 if least > n else float(bdtrc(least - 1, n, value)) if least > 0 else 1.0


def _least_successes(n: int, target: float, error: float) -> int:
    """Successes from which on the target is proven: under the target itself, so many are rarer than ``error``."""
    least = max(0, math.floor(float(bdtrik(1 - error, n, target))))
    while least <= n and (least == 0 or bdtrc(least - 1, n, target) > error):
        least += 1
    return least
