"""What a test set can prove, before anything is tried."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from escalade.catalogue.metrics import card
from escalade.evaluate import (
    difference_spread,
    items_for_difference,
    items_needed,
    load_metric,
    paired,
    passes,
    provable,
    score_needed,
    smallest_difference,
)
from escalade.evaluate.metric import Matrix, means
from escalade.project import Target
from escalade.values import Facts


def target(bound: float, **more: float) -> Target:
    return Target(metric="accuracy", at_least=bound, **more)


def test_twenty_rows_cannot_prove_99_per_cent() -> None:
    found = provable(20, target(0.99), card("accuracy"))
    assert not found.possible
    assert found.best == pytest.approx(stats.binomtest(20, 20).proportion_ci(0.95, "exact").low)
    assert found.needed == 368
    assert provable(368, target(0.99), card("accuracy")).possible
    assert not provable(367, target(0.99), card("accuracy")).possible


def test_ranges_and_directions() -> None:
    assert provable(20, Target(metric="bleu", at_least=80), card("bleu")).best == pytest.approx(83.15665)
    assert provable(20, Target(metric="accuracy", at_most=0.2), card("accuracy")).possible
    assert not provable(20, Target(metric="accuracy", at_most=0.1), card("accuracy")).possible
    assert provable(1, Target(metric="matthews", at_least=-1), card("matthews")).possible
    assert provable(10**6, target(1.0), card("accuracy")).needed is None
    assert not provable(0, target(0.1), card("accuracy")).possible


@pytest.mark.parametrize(("value", "bound"), [(0.9, 0.85), (0.6, 0.5), (1.0, 0.99), (0.3, 0.1)])
def test_so_many_items_do_prove_it(value: float, bound: float) -> None:
    n = items_needed(value, bound)
    assert n is not None

    def power(rows: int) -> float:
        return float(
            sum(
                stats.binom.pmf(k, rows, value)
                for k in range(rows + 1)
                if k and stats.beta.ppf(0.025, k, rows - k + 1) >= bound
            )
        )

    assert power(n) >= 0.8 - 1e-9
    # The power of an exact bound rises in teeth, so that a little fewer may do by luck; much fewer do not.
    assert power(math.floor(0.75 * n)) < 0.8


def test_groups_and_falling_metrics() -> None:
    rows = items_needed(0.9, 0.85)
    assert rows is not None
    assert items_needed(0.9, 0.85, design_effect=2.5) == math.ceil(rows * 2.5)
    assert items_needed(0.1, 0.15, rising=False) == rows
    assert items_needed(0.85, 0.85) is None and items_needed(0.8, 0.85) is None


def test_score_needed_is_the_inverse() -> None:
    rows = items_needed(0.9, 0.85)
    assert rows is not None
    assert score_needed(rows, 0.85) == pytest.approx(0.9, abs=0.003)
    assert score_needed(rows, 0.15, rising=False) == pytest.approx(0.1, abs=0.003)
    assert score_needed(20, 0.99) is None
    more = score_needed(100, 0.85)
    assert more is not None and more > 0.9


def test_passes() -> None:
    assert passes(0.85, target(0.85)) and not passes(0.849, target(0.85))
    falling = Target(metric="accuracy", at_most=0.1)
    assert passes(0.1, falling) and not passes(0.11, falling)


def test_the_difference_that_a_test_shows_is_shown_four_times_in_five() -> None:
    """Models that differ by just that, over and over: the paired test must find it in about 80 % of the draws."""
    value = load_metric("accuracy", Facts(kind="classification", labels=("a", "b"))).value
    pilot = np.random.default_rng(0)

    def pair(rng: np.random.Generator, n: int, gain: float) -> tuple[Matrix, Matrix]:
        common = rng.normal(0.5, 0.1, n)
        first, second = (common + rng.normal(0, 0.08, n) for _ in range(2))
        return means(first.tolist()), means((second + gain).tolist())

    spread, clusters = difference_spread(*pair(pilot, 4000, 0.0), range(4000), value)
    gain = smallest_difference(spread, clusters, 100)
    assert gain == pytest.approx(2.80 * 0.08 * 2**0.5 / 10, rel=0.05)
    assert items_for_difference(gain, spread, clusters) == pytest.approx(100, abs=1)
    assert items_for_difference(0, spread, clusters) is None
    shown = sum(
        paired(*pair(np.random.default_rng(seed), 100, gain), range(100), value, resamples=300).p <= 0.05
        for seed in range(1, 301)
    )
    assert 0.72 <= shown / 300 <= 0.88
