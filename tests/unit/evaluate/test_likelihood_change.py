"""Bits per byte, its change and its bound: golden arithmetic, and what an unchanged model gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from escalade.errors import BadInput
from escalade.evaluate.likelihood import bits_per_byte, change, divergence, per_token

LN2 = math.log(2)


def test_bits_per_byte_is_nats_over_ln_2_over_bytes() -> None:
    assert bits_per_byte(np.array([8 * LN2, 1.0])) == pytest.approx(8)
    assert bits_per_byte(np.array([3.0, 2.0])) == pytest.approx(3 / 0.6931471805599453 / 2)
    several = bits_per_byte(np.array([[LN2, 1.0], [LN2, 2.0], [0.0, 0.0]]))
    assert several.tolist() == pytest.approx([1, 0.5, 0])


def test_texts_weigh_as_many_bytes_as_they_have() -> None:
    base = np.array([[10 * LN2, 10.0], [90 * LN2, 30.0]])
    adapted = np.array([[20 * LN2, 10.0], [90 * LN2, 30.0]])
    found = change(base, adapted, ["a", "b"], texts="b2:x", signature="s", seed=0)
    assert (found.base, found.adapted, found.difference) == pytest.approx((100 / 40, 110 / 40, 10 / 40))
    assert found.n == found.clusters == 2 and found.texts == "b2:x" and found.signature == "s"


def test_an_unchanged_model_forgets_exactly_nothing() -> None:
    rows = np.random.default_rng(0).uniform(1, 100, (60, 2))
    found = change(rows, rows.copy(), range(60), texts="", signature="", seed=0)
    assert (found.difference, found.lower, found.upper, found.bound) == (0, 0, 0, 0)
    none = divergence(np.column_stack([np.zeros(9), np.ones(9)]), range(9), signature="", seed=0)
    assert (none.value, none.lower, none.upper, none.tokens) == (0, 0, 0, 9)


def test_the_bound_is_one_sided_and_lies_within_the_interval() -> None:
    draw = np.random.default_rng(1)
    base = np.column_stack([draw.uniform(100, 200, 60), np.full(60, 100.0)])
    adapted = base + np.column_stack([draw.normal(5, 10, 60), np.zeros(60)])
    found = change(base, adapted, range(60), texts="", signature="", seed=0)
    assert found.lower < found.difference < found.bound < found.upper


def test_few_clusters_make_the_interval_wide() -> None:
    draw = np.random.default_rng(2)
    base = np.column_stack([np.full(60, 100.0), np.full(60, 100.0)])
    shift = np.repeat(draw.normal(5, 10, 6), 10)
    adapted = base + np.column_stack([shift, np.zeros(60)])
    by_text = change(base, adapted, range(60), texts="", signature="", seed=0)
    by_topic = change(base, adapted, np.repeat(range(6), 10).tolist(), texts="", signature="", seed=0)
    assert by_topic.upper - by_topic.lower > 2 * (by_text.upper - by_text.lower) and by_topic.clusters == 6


def test_one_cluster_proves_nothing() -> None:
    base = np.array([[10.0, 10.0], [20.0, 20.0]])
    found = change(base, base * [1.001, 1], ["a", "a"], texts="", signature="", seed=0)
    assert found.bound == 8


def test_the_divergence_is_a_mean_over_tokens() -> None:
    rows = np.array([[1.0, 10.0], [8.0, 2.0], [3.0, 4.0]])
    assert per_token(rows.sum(0)) == pytest.approx(12 / 16)
    found = divergence(rows, range(3), signature="kl", seed=0)
    assert found.value == pytest.approx(0.75) and 0 <= found.lower < 0.75 < found.upper and found.tokens == 16


def test_different_numbers_of_texts_are_refused() -> None:
    with pytest.raises(BadInput):
        change(np.ones((3, 2)), np.ones((2, 2)), range(3), texts="", signature="", seed=0)


@pytest.mark.slow
def test_the_one_sided_bound_errs_about_as_often_as_it_says() -> None:
    """Texts of which the truth is known: 5 % of the bounds may lie below it, with some room for 400 draws."""
    below = 0
    for seed in range(400):
        draw = np.random.default_rng(seed)
        base = np.column_stack([draw.uniform(100, 300, 40), draw.uniform(100, 200, 40)])
        adapted = base.copy()
        adapted[:, 0] += LN2 * 0.1 * base[:, 1] * draw.exponential(1, 40)
        below += change(base, adapted, range(40), texts="", signature="", seed=seed).bound < 0.1
    assert below <= 0.1 * 400, below
