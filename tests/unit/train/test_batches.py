"""Which rows meet in which step."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.protocols import Row
from escalade.train.batches import epoch_batches, padded_share, seed_of, split, steps_of, stream
from escalade.train.recipe import Recipe

RECIPE = Recipe(learning_rate=1.0, epochs=2, batch_rows=8, seed=1)


def rows(count: int, seed: int = 0) -> list[Row]:
    draw = random.Random(seed)
    return [Row(f"train:{i}", (1,) * draw.randint(1, 60)) for i in range(count)]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 90), st.integers(0, 5), st.integers(1, 300))
def test_every_row_comes_once_an_epoch_within_the_budget(count: int, epoch: int, tokens: int) -> None:
    given_rows = rows(count)
    by_tokens = replace(RECIPE, batch_rows=None, batch_tokens=tokens)
    for recipe in (RECIPE, by_tokens):
        made = epoch_batches(given_rows, recipe, epoch)
        assert sorted(row.id for batch in made for row in batch) == sorted(row.id for row in given_rows)
        assert made == epoch_batches(list(given_rows), recipe, epoch)
    for batch in epoch_batches(given_rows, by_tokens, epoch):
        assert len(batch) == 1 or len(batch) * max(row.length for row in batch) <= tokens


def test_epochs_and_seeds_differ_and_like_lengths_meet() -> None:
    many = rows(400)
    first = epoch_batches(many, RECIPE, 0)
    assert first != epoch_batches(many, RECIPE, 1) != epoch_batches(many, replace(RECIPE, seed=2), 1)
    apart = [many[i : i + 8] for i in range(0, 400, 8)]
    assert padded_share(first) < 0.1 < 0.4 < padded_share(apart)
    assert [len(batch) for batch in first] == [8] * 50
    lengths = [batch[0].length for batch in first]
    assert lengths != sorted(lengths)


def test_a_longer_row_stands_alone() -> None:
    some = [Row("a", (1,) * 3), Row("b", (1,) * 3), Row("c", (1,) * 50), Row("d", (1,) * 2)]
    assert [[row.id for row in batch] for batch in split(some, 6)] == [["a", "b"], ["c"], ["d"]]


def test_the_stream_goes_on_from_a_position() -> None:
    some = rows(20)
    source = stream(some, RECIPE, 0, 0)
    whole = [next(source) for _ in range(7)]
    epoch, taken, _ = whole[3]
    again = stream(some, RECIPE, epoch, taken)
    assert [next(again) for _ in range(3)] == whole[4:]


@pytest.mark.parametrize(("epochs", "steps"), [(2, 6), (0.5, 2), (0.01, 1), (1.34, 4)])
def test_steps_of_a_run(epochs: float, steps: int) -> None:
    assert steps_of(rows(20), replace(RECIPE, epochs=epochs)) == (steps, 3)


def test_seeds_depend_on_every_part() -> None:
    seeds = {seed_of(a, b, c) for a in range(4) for b in range(4) for c in ("x", "y")}
    assert len(seeds) == 32 and all(0 <= seed < 2**63 for seed in seeds) and seed_of(1, 2) == seed_of(1, 2)
