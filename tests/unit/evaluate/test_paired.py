"""The paired test between two models."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from escalade.errors import BadInput
from escalade.evaluate import load_metric, paired
from escalade.evaluate.metric import means
from escalade.values import Facts

ACCURACY = load_metric("accuracy", Facts(kind="classification", labels=("a",)))
MACRO = load_metric("macro_f1", Facts(kind="classification", labels=("a", "b")))


def test_difference_is_second_minus_first_in_the_metrics_units() -> None:
    first, second = means([0.2, 0.4, 0.6, 0.5]), means([0.3, 0.4, 0.5, 1.0])
    found = paired(first, second, range(4), ACCURACY.value, resamples=500)
    assert found.difference == pytest.approx(0.125)
    assert (found.wins, found.ties, found.losses, found.n, found.clusters) == (2, 1, 1, 4, 4)
    back = paired(second, first, range(4), ACCURACY.value, resamples=500)
    assert (back.difference, back.wins, back.losses) == (pytest.approx(-0.125), 1, 2)
    assert back.p == pytest.approx(found.p)


def test_p_equals_full_enumeration() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random(10), rng.random(10) + 0.15
    gaps = second - first
    signs = np.array(list(itertools.product([1, -1], repeat=10)))
    exact = (np.abs(signs @ gaps) >= abs(gaps.sum()) - 1e-12).mean()
    found = paired(means(first.tolist()), means(second.tolist()), range(10), ACCURACY.value, resamples=40_000)
    assert found.p == pytest.approx(exact, abs=0.01)


def test_clusters_are_exchanged_whole() -> None:
    rng = np.random.default_rng(1)
    first = rng.random(8)
    second = first + rng.normal(0.1, 0.1, 8)
    alone = paired(means(first.tolist()), means(second.tolist()), range(8), ACCURACY.value, resamples=20_000)
    copied = [np.repeat(x, 6).tolist() for x in (first, second)]
    together = paired(
        means(copied[0]), means(copied[1]), np.repeat(np.arange(8), 6).tolist(), ACCURACY.value, resamples=20_000
    )
    assert together.p == pytest.approx(alone.p, abs=0.015)
    assert (together.lower, together.upper) == pytest.approx((alone.lower, alone.upper), abs=0.01)
    assert (together.n, together.clusters) == (48, 8)


def test_equal_models() -> None:
    rows = means([1.0, 0.0] * 50)
    found = paired(rows, rows, range(100), ACCURACY.value, resamples=200)
    assert (found.difference, found.p, found.wins, found.ties) == (0, 1, 0, 100)
    # What 100 items cannot rule out: 0.025 ** (1 / 100) of the items were seen to be alike.
    assert found.upper == pytest.approx(1 - 0.025**0.01) == -found.lower


def test_a_clear_difference_is_found_and_p_is_never_zero() -> None:
    found = paired(means([0.0] * 60), means([1.0] * 50 + [0.0] * 10), range(60), ACCURACY.value, resamples=999)
    assert found.p == pytest.approx(1 / 1000)
    assert 0.6 < found.lower < found.difference < found.upper < 1


def test_corpus_metrics_have_wins_too() -> None:
    right, wrong = [1.0, 0, 0, 0, 0, 0, 0, 0, 0], [0.0, 0, 0, 0, 1, 0, 1, 0, 0]
    first, second = np.array([right] * 5 + [wrong] * 5), np.array([right] * 8 + [wrong] * 2)
    found = paired(first, second, range(10), MACRO.value, resamples=200)
    assert (found.wins, found.ties, found.losses) == (3, 7, 0)
    assert found.difference == pytest.approx(MACRO.value(second.sum(0)) - MACRO.value(first.sum(0)))


def test_bad_input() -> None:
    with pytest.raises(BadInput, match="different rows"):
        paired(means([1.0]), means([1.0, 0.0]), range(1), ACCURACY.value)
    with pytest.raises(BadInput, match="different metrics"):
        paired(means([1.0]), np.ones((1, 3)), range(1), ACCURACY.value)
    with pytest.raises(BadInput, match="not a finite number"):
        paired(means([1.0]), means([np.nan]), range(1), ACCURACY.value)
