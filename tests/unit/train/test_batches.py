"""Which rows meet in which step and in which micro-batch."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.protocols import Row
from escalade.train.batches import epoch_steps, micro_batches, padded_share, seed_of, split, steps_of, stream
from escalade.train.recipe import Recipe

RECIPE = Recipe(learning_rate=1.0, epochs=2, batch_rows=8, seed=1)


def lengths_of(count: int, seed: int = 0) -> np.ndarray:
    draw = random.Random(seed)
    return np.array([draw.randint(1, 60) for _ in range(count)])


def rows(lengths: list[int], targets: list[int] | None = None) -> list[Row]:
    written = targets or [0] * len(lengths)
    return [Row(f"train:{i}", (1,) * n, target=(2,) * m) for i, (n, m) in enumerate(zip(lengths, written, strict=True))]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 90), st.integers(0, 5), st.integers(1, 300), st.booleans())
def test_every_row_comes_once_an_epoch_within_the_budget(count: int, epoch: int, tokens: int, packed: bool) -> None:
    lengths = lengths_of(count)
    by_tokens = replace(RECIPE, batch_rows=None, batch_tokens=tokens)
    for recipe in (RECIPE, by_tokens):
        made = epoch_steps(lengths, recipe, epoch, packed)
        assert sorted(int(row) for step in made for row in step) == list(range(count))
        again = epoch_steps(lengths.copy(), recipe, epoch, packed)
        assert all(np.array_equal(one, two) for one, two in zip(made, again, strict=True))
    for step in epoch_steps(lengths, by_tokens, epoch, packed):
        own = lengths[step]
        assert len(step) == 1 or (own.sum() if packed else len(step) * own.max()) <= tokens


def test_epochs_and_seeds_differ_and_like_lengths_meet_where_rows_are_padded() -> None:
    lengths = lengths_of(400)

    def waste(steps: list[np.ndarray]) -> float:
        worked = sum(len(step) * lengths[step].max() for step in steps)
        return 1 - float(lengths.sum()) / worked

    first = epoch_steps(lengths, RECIPE, 0, packed=False)
    others = [epoch_steps(lengths, RECIPE, 1, False), epoch_steps(lengths, replace(RECIPE, seed=2), 0, False)]
    assert all(not np.array_equal(np.concatenate(first), np.concatenate(other)) for other in others)
    assert waste(first) < 0.1 < 0.4 < waste(epoch_steps(lengths, RECIPE, 0, packed=True))
    assert [len(step) for step in first] == [8] * 50
    longest = [int(lengths[step].max()) for step in first]
    assert longest != sorted(longest)


def test_a_longer_row_stands_alone() -> None:
    assert split([3, 3, 50, 2], 6) == [2, 3, 4]
    assert split([3, 3, 50, 2], 6, padded=False) == [2, 3, 4]
    assert split([1, 5], 6) == [1, 2] and split([1, 5], 6, padded=False) == [2]
    assert split([], 6) == []


def test_the_stream_goes_on_from_a_position() -> None:
    lengths = lengths_of(20)
    source = stream(lengths, RECIPE, False, 0, 0)
    whole = [next(source) for _ in range(7)]
    epoch, taken, _ = whole[3]
    again = stream(lengths, RECIPE, False, epoch, taken)
    for one, two in zip([next(again) for _ in range(3)], whole[4:], strict=True):
        assert one[:2] == two[:2] and np.array_equal(one[2], two[2])


@pytest.mark.parametrize(("epochs", "steps"), [(2, 6), (0.5, 2), (0.01, 1), (1.34, 4)])
def test_steps_of_a_run(epochs: float, steps: int) -> None:
    assert steps_of(lengths_of(20), replace(RECIPE, epochs=epochs), packed=False) == (steps, 3)
    by_clock = replace(RECIPE, epochs=None, seconds=9.0)
    assert steps_of(lengths_of(20), by_clock, packed=False) == (None, 3)


def test_seeds_depend_on_every_part() -> None:
    seeds = {seed_of(a, b, c) for a in range(4) for b in range(4) for c in ("x", "y")}
    assert len(seeds) == 32 and all(0 <= seed < 2**63 for seed in seeds) and seed_of(1, 2) == seed_of(1, 2)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=40), st.integers(1, 3000), st.booleans(), st.integers(1, 3))
def test_micro_batches_hold_every_row_and_keep_within_their_tokens(
    lengths: list[int], tokens: int, packed: bool, parts: int
) -> None:
    some = rows(lengths)
    made = micro_batches(some, tokens, 704 if packed else None, parts)
    assert sorted(row.id for part in made for row in part.rows) == sorted(row.id for row in some)
    for part in made:
        alone = len(part.lines or part.rows) == 1
        assert alone or part.worked <= tokens
        assert part.worked >= sum(row.length for row in part.rows)
    assert 0 <= padded_share(made) < 1


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 100), st.integers(1, 100)), min_size=1, max_size=30), st.integers(1, 900))
def test_what_is_read_and_what_is_written_keep_within_the_tokens_together(pairs: list[Any], tokens: int) -> None:
    made = micro_batches(rows([n for n, _ in pairs], [m for _, m in pairs]), tokens)
    assert sum(len(part.rows) for part in made) == len(pairs)
    assert all(len(part.rows) == 1 or part.worked <= tokens for part in made)


def test_a_step_is_split_for_as_many_processes_as_there_are() -> None:
    some = rows([40] * 12)
    assert len(micro_batches(some, 10_000)) == 1
    for packed in (None, 64):
        assert len(micro_batches(some, 10_000, packed, parts=2)) >= 2
