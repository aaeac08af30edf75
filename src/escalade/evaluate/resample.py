"""Clusters, and what is drawn from them: resamples, leave-one-outs, swaps. Everything is sums of rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from escalade.errors import BadInput
from escalade.evaluate.metric import Matrix

Valuer = Callable[[Matrix], Matrix]
"""A metric's ``value``: sums of shape (..., k) to (...)."""

_CELLS = 4_000_000
"""Numbers held at once: 32 MB."""
_CACHED = 1 << 15
"""Draws counted at once: with their counts, about what the second-level cache of a core holds."""
_BLOCKS = 500
"""Leave-outs beyond which clusters are left out in blocks."""


@dataclass(frozen=True)
class Clusters:
    """The summed statistics of each cluster, equal clusters kept once.

    Few distinct rows is what metrics of labels have, and drawing how often each occurs is far cheaper than drawing
    every cluster.
    """

    sums: Matrix
    """Shape (distinct, k)."""
    counts: NDArray[np.int64]
    """How many clusters have these sums, shape (distinct,)."""
    rows: int
    """Items in all."""

    @property
    def number(self) -> int:
        """How many clusters there are."""
        return int(self.counts.sum())

    @property
    def total(self) -> Matrix:
        """The sums over all clusters, shape (k,)."""
        total: Matrix = self.counts @ self.sums
        return total

    @property
    def single(self) -> bool:
        """True where every cluster is one item."""
        return self.number == self.rows


def clustered(statistics: Matrix, clusters: Sequence[Hashable]) -> Clusters:
    """Sums statistics by cluster.

    Args:
        statistics: One row per item, shape (n, k).
        clusters: The cluster of each item, length n.

    Raises:
        BadInput: The lengths differ, there are no items, or a number is not finite.
    """
    if len(statistics) != len(clusters):
        raise BadInput("evaluate.clusters_differ", rows=len(statistics), clusters=len(clusters))
    if len(statistics) == 0:
        raise BadInput("evaluate.nothing")
    finite = np.isfinite(statistics).all(axis=1)
    if not finite.all():
        raise BadInput("evaluate.not_finite", row=int(finite.argmin()) + 1)
    number: dict[Hashable, int] = {}
    codes = np.array([number.setdefault(cluster, len(number)) for cluster in clusters])
    sums = np.asarray(statistics, dtype=np.float64)
    if len(number) < len(codes):
        by_cluster = np.argsort(codes, kind="stable")
        sums = np.add.reduceat(sums[by_cluster], np.flatnonzero(np.diff(codes[by_cluster], prepend=-1)), axis=0)
    distinct, counts = _distinct(sums)
    return Clusters(distinct, counts, len(codes))


def resampled(clusters: Clusters, resamples: int, seed: int, value: Valuer) -> Matrix:
    """The metric on bootstrap resamples of the clusters, shape (resamples,)."""
    generator = np.random.default_rng(seed)
    return np.concatenate([value(weights @ clusters.sums) for weights in _weights(clusters, resamples, generator)])


def left_out(clusters: Clusters, value: Valuer) -> tuple[Matrix, NDArray[np.int64]]:
    """The metric without each cluster, and how often each such value occurs.

    With very many distinct clusters, without each of 500 blocks of them.
    """
    sums, counts = clusters.sums, clusters.counts
    if sums.size > _CELLS and len(sums) > _BLOCKS:
        block = np.arange(len(sums)) % _BLOCKS
        sums = np.stack([counts[block == b] @ sums[block == b] for b in range(_BLOCKS)])
        counts = np.ones(_BLOCKS, dtype=np.int64)
    return value(clusters.total - sums), counts


def swapped(first: Matrix, second: Matrix, resamples: int, seed: int, value: Valuer) -> Matrix:
    """The difference second - first after exchanging the two by chance, cluster by cluster, shape (resamples,).

    Args:
        first: Sums of each cluster for one model, shape (clusters, k).
        second: The same for the other.
        resamples: How many exchanges to draw.
        seed: Seed of the draws.
        value: The metric.
    """
    generator = np.random.default_rng(seed)
    total_first, total_second = first.sum(0), second.sum(0)
    gaps = second - first
    gaps = gaps[(gaps != 0).any(axis=1)]
    differences = []
    for size in _portions(resamples, len(gaps)):
        bits = generator.integers(0, 256, size=(size, -(-len(gaps) // 8)), dtype=np.uint8)
        moved = np.unpackbits(bits, axis=1, count=len(gaps)).astype(np.float64) @ gaps
        differences.append(value(total_second - moved) - value(total_first + moved))
    return np.concatenate(differences)


def _weights(clusters: Clusters, resamples: int, generator: np.random.Generator) -> Iterator[Matrix]:
    """How often each distinct row is in each resample, in portions of shape (some, distinct)."""
    distinct, number = len(clusters.sums), clusters.number
    if 4 * distinct <= number:
        for size in _portions(resamples, distinct):
            yield generator.multinomial(number, clusters.counts / number, size=size).astype(np.float64)
        return
    row_of = np.repeat(np.arange(distinct, dtype=np.int32), clusters.counts)
    for size in _portions(resamples, number):
        weights = np.empty((size, distinct))
        # Drawn and counted a few resamples at a time, as what stays in the cache is counted many times faster.
        few = max(1, _CACHED // number)
        for start in range(0, size, few):
            rows = min(few, size - start)
            drawn = generator.integers(0, number, size=(rows, number), dtype=np.int32)
            if distinct < number:
                drawn = row_of[drawn]
            if rows > 1:
                drawn = drawn + np.arange(rows, dtype=np.int32)[:, None] * distinct
            counts = np.bincount(drawn.ravel(), minlength=rows * distinct)
            weights[start : start + rows] = counts.reshape(rows, distinct)
        yield weights


def _portions(resamples: int, width: int) -> Iterator[int]:
    """Sizes that add up to ``resamples``, each small enough to be held at once."""
    most = max(1, _CELLS // max(1, width))
    for start in range(0, resamples, most):
        yield min(most, resamples - start)


def _distinct(sums: Matrix) -> tuple[Matrix, NDArray[np.int64]]:
    """Rows that differ, in order of first appearance, and how often each occurs."""
    number: dict[bytes, int] = {}
    codes = [number.setdefault(row.tobytes(), len(number)) for row in np.ascontiguousarray(sums + 0.0)]
    counts = np.bincount(codes, minlength=len(number))
    first = np.unique(codes, return_index=True)[1]
    return sums[first], counts
