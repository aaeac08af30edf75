"""Intervals, the bound a decision uses, and the paired test between two models. numpy and scipy only.

**Intervals.** Items of one cluster (a dialogue, a document) are not independent, so clusters are resampled. A share
of independent rows gets the exact interval of Clopper & Pearson (1934). Everything else gets, on each side, the most
cautious of three:

- the BCa bootstrap (Efron 1987), its levels widened for few clusters as by Hesterberg (2015, section 4.3);
- the exact interval of a share with the same value and standard error (Korn & Graubard 1998), which stays honest near
  the ends of the metric's range, where resampling sees too few failures;
- what a flawless result could prove: a share p of clusters is seen m times in a row with probability p^m, so m clusters
  prove no more than ``error ** (1 / m)`` of the range.

A 95 % interval has the two bounds whose one-sided error is 2.5 %, so that it agrees with :func:`decision_bound`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from scipy.special import betaincinv, ndtr, ndtri, stdtrit

from escalade.errors import BadInput
from escalade.evaluate.metric import Matrix
from escalade.evaluate.resample import Clusters, Valuer, clustered, left_out, resampled, swapped

Method = Literal["exact", "bca", "beta", "range"]
"""``exact``: Clopper-Pearson; ``bca``: the most cautious of three; ``beta``: the same where no bootstrap is defined
(every cluster alike); ``range``: one cluster says nothing of others."""

RESAMPLES = 2000
_MOST_RESAMPLES = 20_000
_PER_TAIL = 20
"""Resamples beyond the bound that are wanted, so that the quantile is not an extreme."""


class Scale(Protocol):
    """What bounds need of a metric."""

    low: float
    high: float

    def value(self, sums: Matrix) -> Matrix:
        """The metric of summed rows: shape (..., k) to (...)."""
        ...


@dataclass(frozen=True)
class Interval:
    """A value with its two-sided interval."""

    value: float
    lower: float
    upper: float
    confidence: float
    n: int
    clusters: int
    resamples: int
    """0 where nothing had to be resampled."""
    seed: int
    method: Method


@dataclass(frozen=True)
class Paired:
    """How a second model differs from a first on the same items, in the metric's own units."""

    difference: float
    """Second minus first."""
    lower: float
    upper: float
    p: float
    """Two-sided, by approximate randomisation."""
    n: int
    clusters: int
    wins: int
    """Items on which taking the second's answer instead of the first's raises the metric."""
    ties: int
    losses: int


def interval(
    statistics: Matrix,
    clusters: Sequence[Hashable],
    metric: Scale,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The metric with its interval.

    Args:
        statistics: One row per item, shape (n, k).
        clusters: The cluster of each item, length n.
        metric: Its value of summed rows, and its range.
        confidence: Two-sided, between 0.5 and 1.
        resamples: Bootstrap resamples.
        seed: Seed of the resamples.

    Raises:
        BadInput: Lengths differ, nothing is there, a number is not finite, or the confidence makes no sense.
    """
    error = (1 - confidence) / 2
    found = _Sample(clustered(statistics, clusters), metric.value, metric.low, metric.high)
    lower, upper, method = found.bounds(_valid(error), resamples, seed)
    drawn = resamples if method == "bca" else 0
    number = found.clusters.number
    return Interval(found.estimate, lower, upper, confidence, len(statistics), number, drawn, seed, method)


def decision_bound(
    statistics: Matrix,
    clusters: Sequence[Hashable],
    metric: Scale,
    *,
    rising: bool,
    error: float,
    seed: int = 0,
) -> float:
    """The one-sided bound that is compared with a target.

    Args:
        statistics: One row per item, shape (n, k).
        clusters: The cluster of each item, length n.
        metric: Its value of summed rows, and its range.
        rising: True for the lower bound (more is better), False for the upper one.
        error: Chance that the bound lies beyond the truth, such as :func:`look_error` gives.
        seed: Seed of the resamples.

    Raises:
        BadInput: As for :func:`interval`.
    """
    found = _Sample(clustered(statistics, clusters), metric.value, metric.low, metric.high)
    resamples = math.ceil(_PER_TAIL / max(found.widened(_valid(error)), _PER_TAIL / _MOST_RESAMPLES))
    lower, upper, _ = found.bounds(error, max(RESAMPLES, resamples), seed)
    return lower if rising else upper


def lower_bound(
    statistics: Matrix,
    clusters: Sequence[Hashable],
    metric: Scale,
    *,
    error: float,
    seed: int = 0,
) -> float:
    """The one-sided lower bound; see :func:`decision_bound`."""
    return decision_bound(statistics, clusters, metric, rising=True, error=error, seed=seed)


def look_error(confidence: float, look: int) -> float:
    """The one-sided error that look number ``look`` (from 1) at a test set may make.

    The looks' errors halve each time, so that all looks together err at most ``1 - confidence``.
    """
    return float((1 - confidence) / 2**look)


def paired(
    statistics_a: Matrix,
    statistics_b: Matrix,
    clusters: Sequence[Hashable],
    value: Valuer,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    span: float = 1.0,
) -> Paired:
    """Compares two models on the same items.

    The interval is the paired cluster bootstrap's (BCa); p is by approximate randomisation (Noreen 1989; Riezler &
    Maxwell 2005): the two models' outputs are exchanged by chance cluster by cluster, and p is the share of
    exchanges, the given one counted, that differ at least as much.

    Args:
        statistics_a: The first model's statistics, shape (n, k).
        statistics_b: The second model's, of the same metric on the same items.
        clusters: The cluster of each item, length n.
        value: The metric of summed rows.
        confidence: Two-sided, of the interval.
        resamples: Resamples, and exchanges.
        seed: Seed of both.
        span: From the least to the greatest value of the metric; asked only where all clusters differ alike.

    Raises:
        BadInput: The two have different lengths or columns, or as for :func:`interval`.
    """
    if len(statistics_a) != len(statistics_b):
        raise BadInput("evaluate.pairs_differ", a=len(statistics_a), b=len(statistics_b))
    columns = statistics_a.shape[1]
    if columns != statistics_b.shape[1]:
        raise BadInput("evaluate.shapes_differ", a=columns, b=statistics_b.shape[1])

    def difference(sums: Matrix) -> Matrix:
        return value(sums[..., columns:]) - value(sums[..., :columns])

    both = clustered(np.hstack([statistics_a, statistics_b]), clusters)
    found = _Sample(both, difference, -span, span, signed=True)
    lower, upper, _ = found.bounds(_valid((1 - confidence) / 2), resamples, seed)
    each = np.repeat(both.sums, both.counts, axis=0)
    exchanged = swapped(each[:, :columns], each[:, columns:], resamples, seed, value)
    as_large = int((np.abs(exchanged) >= abs(found.estimate) - 1e-12 * span).sum())
    total_a = statistics_a.sum(0)
    gaps = value(total_a - statistics_a + statistics_b) - value(total_a)
    wins, losses = int((gaps > 1e-12 * span).sum()), int((gaps < -1e-12 * span).sum())
    return Paired(
        difference=found.estimate,
        lower=lower,
        upper=upper,
        p=(as_large + 1) / (resamples + 1),
        n=len(gaps),
        clusters=both.number,
        wins=wins,
        ties=len(gaps) - wins - losses,
        losses=losses,
    )


def difference_spread(
    statistics_a: Matrix, statistics_b: Matrix, clusters: Sequence[Hashable], value: Valuer
) -> tuple[float, int]:
    """Standard error of the difference of two models on the same items (jackknife), and the clusters it rests on.

    Args:
        statistics_a: The first model's statistics, shape (n, k).
        statistics_b: The second model's.
        clusters: The cluster of each item, length n.
        value: The metric of summed rows.
    """
    columns = statistics_a.shape[1]

    def difference(sums: Matrix) -> Matrix:
        return value(sums[..., columns:]) - value(sums[..., :columns])

    both = clustered(np.hstack([statistics_a, statistics_b]), clusters)
    return _Sample(both, difference, -1.0, 1.0, signed=True).spread, both.number


def design_effect(statistics: Matrix, clusters: Sequence[Hashable], metric: Scale) -> float:
    """How many rows are worth one independent row: the variance by clusters over that by rows (Kish 1965); 1 at least.

    Args:
        statistics: One row per item, shape (n, k).
        clusters: The cluster of each item, length n.
        metric: Its value of summed rows, and its range.
    """
    grouped = _Sample(clustered(statistics, clusters), metric.value, metric.low, metric.high)
    single = _Sample(clustered(statistics, range(len(statistics))), metric.value, metric.low, metric.high)
    if grouped.clusters.number < 2 or single.spread <= 0:
        return 1.0
    return max(1.0, (grouped.spread / single.spread) ** 2)


def exact_bounds(successes: float, n: float, error: float) -> tuple[float, float]:
    """Lower and upper bound of a share, each with one-sided error ``error`` (Clopper & Pearson 1934).

    ``n`` may be fractional, as an effective number of items is.
    """
    lower = 0.0 if successes <= 0 else float(betaincinv(successes, n - successes + 1, error))
    upper = 1.0 if successes >= n else float(betaincinv(successes + 1, n - successes, 1 - error))
    return lower, upper


class _Sample:
    """A metric on clusters, with all that its bounds need.

    Args:
        clusters: Sums by cluster.
        value: The metric.
        low: Least value it can have.
        high: Greatest value it can have.
        signed: A difference: the ends of its range are far away, and no share is like it.
    """

    def __init__(self, clusters: Clusters, value: Valuer, low: float, high: float, signed: bool = False) -> None:
        self.clusters = clusters
        self.value = value
        self.low, self.high = low, high
        self.signed = signed
        self.estimate = float(value(clusters.total))
        if self.estimate > high and not signed:
            # Some metrics (edits per word) have no greatest value, and their cards name the usual one.
            self.high = float(value(clusters.sums).max())
        self._without, self._counts = left_out(clusters, value)

    def bounds(self, error: float, resamples: int, seed: int) -> tuple[float, float, Method]:
        """Lower and upper bound, each with that one-sided error."""
        if self._is_share():
            rows = self.clusters.rows
            return (*exact_bounds(round(self.estimate * rows), rows, error), "exact")
        if self.clusters.number == 1:
            return self.low, self.high, "range"
        spread = self.spread
        if spread <= 1e-12 * (self.high - self.low):
            return (*self._all_alike(error), "beta")
        bootstrap = self._bca(error, resamples, seed)
        if self.signed:
            half = -float(stdtrit(self.clusters.number - 1, error)) * spread
            return (*(bootstrap or (self.estimate - half, self.estimate + half)), "bca")
        ends = [self._provable(error), self._like_a_share(spread, error), *([bootstrap] if bootstrap else [])]
        lowers, uppers = zip(*ends, strict=True)
        return max(self.low, min(lowers)), min(self.high, max(uppers)), "bca" if bootstrap else "beta"

    def widened(self, error: float) -> float:
        """The level that makes percentiles of few clusters as wide as Student's t (Hesterberg 2015)."""
        return float(ndtr(self._widened(error)))

    def _widened(self, error: float) -> float:
        number = self.clusters.number
        return math.sqrt(number / (number - 1)) * float(stdtrit(number - 1, error)) if number > 1 else -math.inf

    def _is_share(self) -> bool:
        """True where the metric is a share of independent rows, each right or wrong."""
        sums = self.clusters.sums
        if not self.clusters.single or self.signed or sums.shape[1] != 2 or (self.low, self.high) != (0.0, 1.0):
            return False
        weight = sums[0, 1]
        zero_or_one = weight > 0 and (sums[:, 1] == weight).all() and np.isin(sums[:, 0], (0.0, weight)).all()
        total = self.clusters.total
        return bool(zero_or_one) and math.isclose(self.estimate, total[0] / total[1], abs_tol=1e-12)

    @property
    def spread(self) -> float:
        """The jackknife's standard error."""
        blocks = self._counts.sum()
        squares = self._counts @ (self._without - self._counts @ self._without / blocks) ** 2
        return math.sqrt((blocks - 1) / blocks * float(squares))

    def _provable(self, error: float) -> tuple[float, float]:
        """What the best and the worst result on so many clusters could prove."""
        reach = (self.high - self.low) * error ** (1 / self.clusters.number)
        return self.low + reach, self.high - reach

    def _all_alike(self, error: float) -> tuple[float, float]:
        """Bounds where every cluster has the same value: unseen clusters may be anything."""
        seen = error ** (1 / self.clusters.number)
        unseen = 1 - seen
        return seen * self.estimate + unseen * self.low, seen * self.estimate + unseen * self.high

    def _like_a_share(self, spread: float, error: float) -> tuple[float, float]:
        """Bounds of a share with this value and standard error (Korn & Graubard 1998)."""
        span = self.high - self.low
        share = min(1.0, max(0.0, (self.estimate - self.low) / span))
        few = (float(ndtri(error)) / float(stdtrit(self.clusters.number - 1, error))) ** 2
        effective = share * (1 - share) / (spread / span) ** 2 * few
        if not effective > 0:
            return self._all_alike(error)
        lower, upper = exact_bounds(share * effective, effective, error)
        return self.low + span * lower, self.low + span * upper

    def _bca(self, error: float, resamples: int, seed: int) -> tuple[float, float] | None:
        """Bias-corrected and accelerated bounds (Efron 1987); None where they are not defined."""
        drawn = resampled(self.clusters, resamples, seed, self.value)
        below = (np.count_nonzero(drawn < self.estimate) + np.count_nonzero(drawn <= self.estimate)) / 2 / resamples
        if not 0 < below < 1:
            return None
        influence = self._counts @ self._without / self._counts.sum() - self._without
        skewness = float(self._counts @ influence**3) / (6 * float(self._counts @ influence**2) ** 1.5)
        bias = float(ndtri(below))
        levels = []
        for normal in (self._widened(error), -self._widened(error)):
            shifted = 1 - skewness * (bias + normal)
            if shifted <= 0:
                return None
            levels.append(float(ndtr(bias + (bias + normal) / shifted)))
        lower, upper = np.quantile(drawn, levels)
        return float(lower), float(upper)


def _valid(error: float) -> float:
    if not 0 < error < 0.5:
        raise BadInput("evaluate.level", value=error)
    return error
