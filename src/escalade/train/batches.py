"""Which rows meet in which step, and in which micro-batch: decided by seed, epoch and the rows' lengths alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from escalade.protocols import Batch, Row
from escalade.train import packing
from escalade.train.packing import Line, lines
from escalade.train.recipe import Recipe

VERSION = 3
"""Raised when rows meet in other steps or are laid out in another way than before, or a step computes other numbers of
them: a checkpoint goes on under the version it was made by, or not at all."""
_WINDOW = 32
"""Batches that are sorted by length together: more saves padding, fewer keeps steps more alike."""
Step = NDArray[np.int64]
"""Places of the rows of one step."""


def seed_of(*parts: object) -> int:
    """A 63-bit seed from the run's seed, the epoch and a row's id, or the like."""
    text = "/".join(map(str, parts))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def epoch_steps(lengths: NDArray[np.int64], recipe: Recipe, epoch: int, packed: bool) -> list[Step]:
    """The steps of one epoch; every row is in one of them.

    Rows are shuffled. Rows that will be packed are then taken as they come. Others are sorted by length within windows,
    so that like lengths meet, cut into steps, and these shuffled.

    Args:
        lengths: (rows,), tokens of each.
        recipe: Rows or tokens of a step; of a packed step tokens of rows, of any other padded ones.
        epoch: Each has an order of its own.
        packed: Whether rows stand side by side.
    """
    draw = np.random.default_rng(seed_of(recipe.seed, epoch, "order"))
    shuffled = draw.permutation(len(lengths))
    if packed:
        return _cut(shuffled, lengths, recipe, padded=False)
    per_window = _WINDOW * (recipe.batch_rows or _rows_that_fit(lengths, recipe))
    made: list[Step] = []
    for start in range(0, len(shuffled), per_window):
        window = shuffled[start : start + per_window]
        made += _cut(window[np.lexsort((window, lengths[window]))], lengths, recipe, padded=True)
    return [made[i] for i in draw.permutation(len(made))]


def _cut(order: Step, lengths: NDArray[np.int64], recipe: Recipe, padded: bool) -> list[Step]:
    """An order of rows cut into steps."""
    if recipe.batch_rows is not None:
        return [order[i : i + recipe.batch_rows] for i in range(0, len(order), recipe.batch_rows)]
    ends = split(lengths[order].tolist(), recipe.batch_tokens or 1, padded)
    return [order[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def split(lengths: Sequence[int], tokens: int, padded: bool = True) -> list[int]:
    """Where to cut rows in order so that each part keeps within ``tokens``; a longer row stands alone.

    Args:
        lengths: Of the rows.
        tokens: The most of a part: rows times the longest, or the rows' own where not ``padded``.
        padded: Which of the two.

    Returns:
        The end of each part.
    """
    ends: list[int] = []
    count = longest = own = 0
    for at, length in enumerate(lengths):
        longest, own = max(longest, length), own + length
        if count and (longest * (count + 1) if padded else own) > tokens:
            ends.append(at)
            count, longest, own = 0, length, length
        count += 1
    return [*ends, len(lengths)] if lengths else ends


def steps_of(lengths: NDArray[np.int64], recipe: Recipe, packed: bool) -> tuple[int | None, int]:
    """Steps of the whole run (None where the clock decides), and of one epoch."""
    per_epoch = len(epoch_steps(lengths, recipe, 0, packed))
    if recipe.seconds is not None:
        return None, per_epoch
    if recipe.steps is not None:
        return recipe.steps, per_epoch
    return max(1, round((recipe.epochs or 0) * per_epoch)), per_epoch


def stream(
    lengths: NDArray[np.int64], recipe: Recipe, packed: bool, epoch: int, taken: int
) -> Iterator[tuple[int, int, Step]]:
    """Epoch, steps of it taken so far, and the next step's rows, without end, from a given position on."""
    while True:
        steps = epoch_steps(lengths, recipe, epoch, packed)
        for i in range(taken, len(steps)):
            yield epoch, i + 1, steps[i]
        epoch, taken = epoch + 1, 0


@dataclass
class Micro:
    """Rows that go through the model together."""

    rows: list[Row]
    lines: list[Line] | None = None
    """How they are packed; None where each stands in a line of its own."""

    @property
    def worked(self) -> int:
        """Tokens worked on, padding included."""
        if self.lines is not None:
            return len(self.lines) * self.lines[0].width
        return len(self.rows) * (max(len(row.ids) for row in self.rows) + max(len(row.target) for row in self.rows))


def micro_batches(
    rows: Sequence[Row], tokens: int, widest: int | None = None, parts: int = 1, attention: float = packing.ATTENTION
) -> list[Micro]:
    """The rows of a step in micro-batches of at most ``tokens`` padded tokens; a longer row or line stands alone.

    Args:
        rows: Of one step.
        tokens: The most of a micro-batch.
        widest: Longest line where rows are packed; None where they are not.
        parts: The fewest micro-batches wanted, one for each process, as far as rows reach.
        attention: What it costs where rows are packed (see ``packing.attention_cost``).
    """
    if widest is not None:
        return _packed(rows, tokens, widest, parts, attention)
    # By what is read, then by what is written: both are padded to the longest of their own.
    ordered = sorted(rows, key=lambda row: (len(row.ids), len(row.target), row.id))
    most = min(tokens, max(1, sum(row.length for row in rows) // parts)) if parts > 1 else tokens
    made: list[Micro] = []
    for row in ordered:
        if made and Micro([*made[-1].rows, row]).worked <= most:
            made[-1].rows.append(row)
        else:
            made.append(Micro([row]))
    return made


def _packed(rows: Sequence[Row], tokens: int, widest: int, parts: int, attention: float) -> list[Micro]:
    ordered = sorted(rows, key=lambda row: row.id)
    made: list[Micro] = []
    longest = max(row.length for row in ordered)
    packed = lines([row.length for row in ordered], max(longest, min(widest, tokens)), attention)
    most = min(tokens, max(1, sum(line.width for line in packed) // parts)) if parts > 1 else tokens
    for width in sorted({line.width for line in packed}, reverse=True):
        alike = [line for line in packed if line.width == width]
        together = max(1, most // width)
        for start in range(0, len(alike), together):
            some = alike[start : start + together]
            made.append(Micro([ordered[row] for line in some for row in line.rows], some))
    return made


def padded_share(micro: Sequence[Micro]) -> float:
    """Share of the tokens worked on that are padding."""
    used = sum(row.length for part in micro for row in part.rows)
    return 1 - used / max(1, sum(part.worked for part in micro))


def on_device(batch: Batch, device: Any) -> Batch:
    """The batch with its tensors where the model lies."""
    return {name: part.to(device) if torch.is_tensor(part) else part for name, part in batch.items()}


def _rows_that_fit(lengths: NDArray[np.int64], recipe: Recipe) -> int:
    return max(1, int((recipe.batch_tokens or 1) / max(1.0, float(lengths.mean()))))
