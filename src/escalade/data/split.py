"""The splits a task lacks, cut from its train rows.

Which split a row goes to depends on the seed, its number, its label and its group, never on its text: mending a typo
must not move rows between train and test.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from escalade.errors import BadInput
from escalade.project import SplitRule
from escalade.values import SplitName

HALF_WIDTH = 0.03
_Z95 = 1.959963984540054
ENOUGH = math.ceil(_Z95**2 * 0.25 / HALF_WIDTH**2)
"""Rows at which a 95 % interval of a proportion is at most 0.03 either way, whatever the proportion: 1,068."""
LARGEST: Mapping[SplitName, float] = {"test": 0.30, "validation": 0.15}
FEWEST = 10


@dataclass(frozen=True, slots=True)
class Placed:
    """What splitting may know of a row: its number in the source, its labels and its group."""

    number: int
    labels: tuple[str, ...] = ()
    group: str | None = None


def assign(
    rows: Sequence[Placed], missing: Sequence[SplitName], rule: SplitRule, seed: int, place: str
) -> list[SplitName]:
    """Which split each row goes to.

    Args:
        rows: The rows of the train source.
        missing: The splits to be cut from them, ``validation`` and ``test`` or one of them.
        rule: Shares; ``auto`` as ``sizes`` says.
        seed: Fixes the choice.
        place: Named in errors.

    Returns:
        One name per row, ``train`` for what is left.

    Raises:
        BadInput: Fewer than 10 rows, fewer groups than splits, or shares that leave nothing to train on.
    """
    if not missing:
        return ["train"] * len(rows)
    if len(rows) < FEWEST:
        raise BadInput("data.too_few_rows", place=place, rows=len(rows), fewest=FEWEST)
    wanted = sizes(len(rows), missing, rule)
    if sum(wanted.values()) >= len(rows):
        raise BadInput("data.split_shares", place=place, rows=len(rows))
    if any(row.group is not None for row in rows):
        return _by_group(rows, wanted, seed, place)
    return _by_label(rows, wanted, seed)


def sizes(rows: int, missing: Iterable[SplitName], rule: SplitRule) -> dict[SplitName, int]:
    """Rows wanted of each missing split, test first.

    ``auto`` takes as many as make the half-width of a 95 % interval at most 0.03, but of the rows at most 30 % for
    test and 15 % for validation.
    """
    shares: dict[SplitName, float | str] = {"test": rule.test, "validation": rule.validation}
    wanted: dict[SplitName, int] = {}
    for name, share in shares.items():
        if name in missing:
            auto = min(ENOUGH, int(LARGEST[name] * rows))
            wanted[name] = max(1, round(share * rows) if isinstance(share, float) else auto)
    return wanted


def _key(seed: int, what: object) -> bytes:
    return hashlib.blake2b(f"{seed}\0{what}".encode(errors="surrogatepass"), digest_size=8).digest()


def _by_label(rows: Sequence[Placed], wanted: Mapping[SplitName, int], seed: int) -> list[SplitName]:
    strata: dict[str, list[int]] = defaultdict(list)
    for i in sorted(range(len(rows)), key=lambda i: _key(seed, rows[i].number)):
        strata[rows[i].labels[0] if len(rows[i].labels) == 1 else ""].append(i)
    names: list[SplitName] = ["train"] * len(rows)
    for split, size in wanted.items():
        for label, quota in _quotas({k: len(v) for k, v in strata.items() if v}, size).items():
            for i in strata[label][:quota]:
                names[i] = split
            strata[label] = strata[label][quota:]
    return names


def _quotas(held: Mapping[str, int], size: int) -> dict[str, int]:
    """Rows to take of each label: shares by largest remainder, the last row of a label left for train."""
    total = sum(held.values())
    exact = {label: size * count / total for label, count in held.items()}
    quota = {label: min(int(exact[label]), held[label] - 1) for label in held}
    order = sorted(held, key=lambda label: (int(exact[label]) - exact[label], label))
    left = size - sum(quota.values())
    while left > 0:
        room = [label for label in order if quota[label] < held[label] - 1][:left]
        if not room:
            break
        for label in room:
            quota[label] += 1
        left -= len(room)
    if not any(quota.values()):
        # Every label occurs once: there are no strata to speak of.
        quota |= {label: 1 for label in order[:size]}
    return quota


def _by_group(rows: Sequence[Placed], wanted: Mapping[SplitName, int], seed: int, place: str) -> list[SplitName]:
    members: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        # A row without a group stands for itself; the NUL keeps its name apart from any group's.
        members[row.group if row.group is not None else f"\0{row.number}"].append(i)
    if len(members) < len(wanted) + 1:
        raise BadInput("data.too_few_groups", place=place, groups=len(members), splits=len(wanted) + 1)
    left = sorted(members, key=lambda group: _key(seed, group))
    holders = Counter(label for group in left for label in _labels(rows, members[group]))
    names: list[SplitName] = ["train"] * len(rows)
    splits_left = len(wanted)
    for split, size in wanted.items():
        taken = _groups_for(size, left, members, rows, holders, len(left) - splits_left)
        splits_left -= 1
        left = [group for group in left if group not in taken]
        for group in taken:
            for i in members[group]:
                names[i] = split
    return names


def _groups_for(
    size: int,
    groups: Sequence[str],
    members: Mapping[str, Sequence[int]],
    rows: Sequence[Placed],
    holders: Counter[str],
    most: int,
) -> set[str]:
    """Groups in their random order until ``size`` rows are reached: first those that keep the labels' shares.

    One that would overshoot by half is passed over, and so is one that holds the last of a label: a label seen only
    in test cannot be learnt. Where nothing else is left the smallest group is taken.
    """
    taken: set[str] = set()
    held = 0
    filled: Counter[str] = Counter()
    room = _room(size, groups, members, rows)
    for balanced in (True, False):
        for group in groups:
            if held >= size or len(taken) >= most:
                return taken
            counts = Counter(label for i in members[group] for label in rows[i].labels)
            fits = held + len(members[group]) <= 1.5 * size and all(holders[label] > 1 for label in counts)
            if balanced and any(filled[label] + count > room.get(label, 0) for label, count in counts.items()):
                continue
            if fits and group not in taken:
                taken.add(group)
                held += len(members[group])
                holders.subtract(set(counts))
                filled.update(counts)
    if not taken:
        taken.add(min(groups, key=lambda group: (len(members[group]), group)))
    return taken


def _room(
    size: int, groups: Sequence[str], members: Mapping[str, Sequence[int]], rows: Sequence[Placed]
) -> dict[str, float]:
    """Rows of each label that a split of ``size`` may hold and keep their shares: a tenth more, or one, at most."""
    counts = Counter(label for group in groups for i in members[group] for label in rows[i].labels)
    total = max(1, counts.total())
    return {label: max(size * count / total + 1, 1.1 * size * count / total) for label, count in counts.items()}


def _labels(rows: Sequence[Placed], members: Iterable[int]) -> set[str]:
    return {label for i in members for label in rows[i].labels}
