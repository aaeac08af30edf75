"""Shared n-grams of many pairs of texts at once, exactly, without a dictionary per text.

A gram and its row are packed into one integer of 63 bits; sorted, equal grams of a row lie side by side, and a run's
length is a count. Where the bits would not do, the grams so far are replaced by their ranks, so nothing is ever hashed
and nothing collides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from escalade.evaluate.corpus import Numbers, Ragged

_BLOCK = 1 << 15
"""Words or letters counted at once: what fits into a processor's own memory is sorted fastest."""
_BITS = 63


def gram_counts(texts: Ragged, orders: Sequence[int]) -> Numbers:
    """How many n-grams each row has, shape (rows, orders)."""
    return np.maximum(0, texts.lengths[:, None] + 1 - np.asarray(orders, dtype=np.int64))


def shared_grams(answers: Ragged, references: Sequence[Ragged], orders: Sequence[int]) -> Numbers:
    """How many of each answer's n-grams its references have (Papineni et al. 2002, modified precision).

    An n-gram counts at most as often as the reference that has it most often.

    Args:
        answers: One row per item.
        references: The first reference of every item, the second, and so on; a row is empty where there is none.
        orders: The n to count, ascending.

    Returns:
        Shape (items, orders).
    """
    found = np.zeros((len(answers.starts) - 1, len(orders)), dtype=np.int64)
    for first, last in _blocks([answers, *references]):
        found[first:last] = _counted([answers, *references], first, last, orders)
    return found


def _blocks(sides: Sequence[Ragged]) -> Iterator[tuple[int, int]]:
    """Ranges of rows of about the same number of codes each."""
    ends = np.sum([side.starts for side in sides], axis=0)
    first, rows = 0, len(ends) - 1
    while first < rows:
        last = int(np.searchsorted(ends, ends[first] + _BLOCK, side="right")) - 1
        last = min(rows, max(last, first + 1))
        yield first, last
        first = last


def _counted(sides: Sequence[Ragged], first: int, last: int, orders: Sequence[int]) -> Numbers:
    """Shared grams of some rows, shape (last - first, orders)."""
    parts = [side.codes[side.starts[first] : side.starts[last]] for side in sides]
    lengths = np.concatenate([np.diff(side.starts[first : last + 1]) for side in sides])
    counts = np.zeros((last - first, len(orders)), dtype=np.int64)
    codes = np.concatenate(parts)
    if not len(codes):
        return counts
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(codes))
    row = np.repeat(np.tile(np.arange(last - first), len(sides)), lengths)
    side = np.repeat(np.arange(len(sides)), [len(part) for part in parts])
    prefixes, ordered = _prefixes(codes, left, row, side, max(orders))
    matches = _matches_of_one if len(sides) == 2 else _matches_of_several
    for column, order in enumerate(orders):
        shared, at = matches(prefixes[order], ordered)
        rows = np.bincount(prefixes[0][at], weights=shared, minlength=last - first)
        counts[:, column] = rows.astype(np.int64)
    return counts


def _prefixes(codes: Numbers, left: Numbers, row: Numbers, side: Numbers, most: int) -> tuple[list[Numbers], Numbers]:
    """Every gram of the highest order, sorted, as the grams of each lower order that it begins with.

    Sorted by the longest, grams are sorted by each shorter one too, so one sort serves all orders.

    Args:
        codes: The words or letters, rows end to end, one side after the other.
        left: How many codes there are from each to the end of its row, itself counted.
        row: The row of each.
        side: The side of each.
        most: The highest order.

    Returns:
        For each order from 0 a number per gram, equal where row and gram are, -1 where the row ends before the gram
        does (for order 0 the row itself); and the side of each gram.
    """
    dense, bits = _dense(codes)
    side_bits = int(side[-1]).bit_length()
    keys, used = row, int(row.max()).bit_length()
    ranked: dict[int, Numbers] = {}
    for order in range(1, most + 1):
        if used + bits + side_bits > _BITS:
            ranked[order - 1], keys = np.unique(keys, return_inverse=True)
            used = len(ranked[order - 1]).bit_length()
        following = np.zeros_like(dense)
        following[: max(0, len(dense) - order + 1)] = dense[order - 1 :]
        following[left < order] = 0
        keys, used = (keys << bits) | following, used + bits
    keys = np.sort((keys << side_bits) | side)
    side, keys = keys & ((1 << side_bits) - 1), keys >> side_bits
    found = [keys] * (most + 1)
    for order in range(most, 0, -1):
        # Zero stands behind the end of a row.
        found[order] = np.where(keys & ((1 << bits) - 1) == 0, -1, keys)
        keys = keys >> bits
        if order - 1 in ranked:
            keys = ranked[order - 1][keys]
    found[0] = keys
    return found, side


def _dense(codes: Numbers) -> tuple[Numbers, int]:
    """Codes numbered from 1 without gaps, and the bits they need."""
    there = np.zeros(int(codes.max()) + 1, dtype=np.bool_)
    there[codes] = True
    number: Numbers = np.cumsum(there, dtype=np.int64)
    return number[codes], int(number[-1]).bit_length()


def _matches_of_one(grams: Numbers, side: Numbers) -> tuple[Numbers, Numbers]:
    """How often each gram stands on both sides, and where its run begins."""
    begins = _begins(grams)
    ends = np.append(begins[1:], len(grams))
    before = np.concatenate([[0], np.cumsum(side)])
    theirs = before[ends] - before[begins]
    shared = np.where(grams[begins] < 0, 0, np.minimum(theirs, ends - begins - theirs))
    there = np.flatnonzero(shared)
    return shared[there], begins[there]


def _matches_of_several(grams: Numbers, side: Numbers) -> tuple[Numbers, Numbers]:
    """The same, against the reference that has the gram most often."""
    order = np.lexsort((side, grams))
    order = order[np.searchsorted(grams[order], 0) :]
    if not len(order):
        return order, order
    sides = int(side.max()) + 1
    begins = _begins(grams[order] * sides + side[order])
    counts = np.diff(begins, append=len(order))
    at = order[begins]
    runs = _begins(grams[at])
    most = np.maximum.reduceat(np.where(side[at] == 0, 0, counts), runs)
    # The answer is the first of the sides.
    shared = np.where(side[at[runs]] == 0, np.minimum(counts[runs], most), 0)
    there = np.flatnonzero(shared)
    return shared[there], at[runs[there]]


def _begins(ordered: Numbers) -> Numbers:
    """Where each run of equal numbers begins."""
    return np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1])
