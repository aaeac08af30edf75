"""Which rows meet in which step: decided by seed, epoch and row ids alone, and rows of like length together."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import torch

from escalade.protocols import Batch, Row
from escalade.train.recipe import Recipe

_WINDOW = 32
"""Batches that are sorted by length together: more saves padding, fewer keeps steps more alike."""


def seed_of(*parts: object) -> int:
    """A 63-bit seed from the run's seed, the epoch and a row's id, or the like."""
    text = "/".join(map(str, parts))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def epoch_batches(rows: Sequence[Row], recipe: Recipe, epoch: int) -> list[list[Row]]:
    """The steps of one epoch: shuffled, sorted by length within windows, cut into batches, and these shuffled."""
    shuffled = list(rows)
    draw = random.Random(seed_of(recipe.seed, epoch, "order"))
    draw.shuffle(shuffled)
    made: list[list[Row]] = []
    per_window = _WINDOW * (recipe.batch_rows or _rows_that_fit(rows, recipe))
    for start in range(0, len(shuffled), per_window):
        window = sorted(shuffled[start : start + per_window], key=lambda row: (row.length, row.id))
        if recipe.batch_rows is not None:
            size = recipe.batch_rows
            made += [window[i : i + size] for i in range(0, len(window), size)]
        else:
            made += split(window, recipe.batch_tokens or 1)
    draw.shuffle(made)
    return made


def split(rows: Sequence[Row], tokens: int) -> list[list[Row]]:
    """Rows in order, cut so that rows times the longest stays within ``tokens``; a longer row stands alone."""
    made: list[list[Row]] = []
    longest = 0
    for row in rows:
        longest = max(longest, row.length)
        if not made or longest * (len(made[-1]) + 1) > tokens:
            made.append([])
            longest = row.length
        made[-1].append(row)
    return made


def steps_of(rows: Sequence[Row], recipe: Recipe) -> tuple[int, int]:
    """Steps of the whole run, and of one epoch."""
    per_epoch = len(epoch_batches(rows, recipe, 0))
    if recipe.steps is not None:
        return recipe.steps, per_epoch
    return max(1, round((recipe.epochs or 0) * per_epoch)), per_epoch


def stream(rows: Sequence[Row], recipe: Recipe, epoch: int, taken: int) -> Iterator[tuple[int, int, list[Row]]]:
    """Epoch, steps of it taken so far, and the next step's rows, without end, from a given position on."""
    while True:
        batches = epoch_batches(rows, recipe, epoch)
        for i in range(taken, len(batches)):
            yield epoch, i + 1, batches[i]
        epoch, taken = epoch + 1, 0


def padded_share(batches: Sequence[Sequence[Row]]) -> float:
    """Share of the tokens worked on that are padding."""
    worked = sum(len(batch) * max(row.length for row in batch) for batch in batches)
    return 1 - sum(row.length for batch in batches for row in batch) / max(1, worked)


def on_device(batch: Batch, device: Any) -> Batch:
    """The batch with its tensors where the model lies."""
    return {name: part.to(device) if torch.is_tensor(part) else part for name, part in batch.items()}


def _rows_that_fit(rows: Sequence[Row], recipe: Recipe) -> int:
    mean = sum(row.length for row in rows) / max(1, len(rows))
    return max(1, int((recipe.batch_tokens or 1) / max(1.0, mean)))
