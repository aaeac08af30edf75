"""Intervals and the bound that decides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from escalade.errors import BadInput
from escalade.evaluate import decision_bound, interval, load_metric, look_error, lower_bound
from escalade.evaluate.metric import Matrix, means
from escalade.evaluate.resample import clustered, left_out, resampled
from escalade.values import Facts

ACCURACY = load_metric("accuracy", Facts(kind="classification", labels=("a",)))
MACRO = load_metric("macro_f1", Facts(kind="classification", labels=("a", "b", "c")))
BLEU = load_metric("bleu", Facts(kind="translation"))


def noise(n: int, seed: int = 0) -> Matrix:
    return means(np.random.default_rng(seed).beta(2, 3, n).tolist())


def macro_rows(n: int, seed: int = 0, right: float = 0.7) -> Matrix:
    rng = np.random.default_rng(seed)
    rows = np.zeros((n, 12))
    for row in rows:
        true = rng.choice(3, p=[0.6, 0.3, 0.1])
        if rng.random() < right:
            row[true] = 1
        else:
            row[4 + (true + rng.integers(1, 3)) % 3] = 1
            row[8 + true] = 1
    return rows


def test_a_share_of_independent_rows_has_the_exact_interval() -> None:
    found = interval(means([1] * 17 + [0] * 3), range(20), ACCURACY)
    exact = stats.binomtest(17, 20).proportion_ci(0.95, "exact")
    assert (found.value, found.method, found.resamples) == (0.85, "exact", 0)
    assert (found.lower, found.upper) == pytest.approx((exact.low, exact.high))
    assert decision_bound(means([1] * 20), range(20), ACCURACY, rising=True, error=0.025) == pytest.approx(0.8315665)
    assert decision_bound(means([0] * 20), range(20), ACCURACY, rising=False, error=0.025) == pytest.approx(0.1684335)
    assert interval(means([0] * 20), range(20), ACCURACY).lower == 0


@pytest.mark.parametrize("statistics", [noise(150), macro_rows(150)], ids=["mean", "macro"])
def test_close_to_scipys_bca(statistics: Matrix) -> None:
    metric = ACCURACY if statistics.shape[1] == 2 else MACRO

    def whole(indices: Sequence[int], axis: int = -1) -> Matrix:
        return metric.value(statistics[np.asarray(indices)].sum(axis=axis - 1))

    theirs = stats.bootstrap((np.arange(150),), whole, n_resamples=4000, method="BCa", rng=np.random.default_rng(1))
    found = interval(statistics, range(150), metric, resamples=4000)
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert found.method == "bca"
    # Wider by no more than what few clusters and the guard near the ends of the range ask for.
    assert -0.05 * width < theirs.confidence_interval.low - found.lower < 0.3 * width
    assert -0.05 * width < found.upper - theirs.confidence_interval.high < 0.3 * width


def test_rows_that_belong_together_say_less() -> None:
    each = noise(40)
    alone = interval(each, range(40), ACCURACY)
    copied = interval(np.repeat(each, 5, axis=0), np.repeat(np.arange(40), 5).tolist(), ACCURACY)
    assert (copied.n, copied.clusters) == (200, 40)
    assert (copied.lower, copied.upper) == pytest.approx((alone.lower, alone.upper))
    naive = interval(np.repeat(each, 5, axis=0), range(200), ACCURACY)
    assert naive.upper - naive.lower < 0.6 * (copied.upper - copied.lower)


def test_the_order_of_rows_and_names_of_clusters_do_not_matter_to_sums() -> None:
    rows, names = macro_rows(30), [f"g{i % 7}" for i in range(30)]
    backwards = clustered(rows[::-1], names[::-1])
    forwards = clustered(rows, names)
    assert np.array_equal(np.sort(forwards.sums, axis=0), np.sort(backwards.sums, axis=0))
    assert np.array_equal(forwards.total, rows.sum(0)) and forwards.number == 7 and not forwards.single


def test_both_ways_of_drawing_agree() -> None:
    few = clustered(means(([1.0] * 30 + [0.0] * 10) * 5), range(200))
    many = clustered(means(([1.0] * 30 + [0.0] * 10) * 5) + 1e-9 * np.arange(200)[:, None], range(200))
    assert len(few.sums) == 2 and len(many.sums) == 200
    one, two = (resampled(found, 4000, 0, ACCURACY.value) for found in (few, many))
    assert one.mean() == pytest.approx(two.mean(), abs=0.003)
    assert one.std() == pytest.approx(two.std(), rel=0.06)
    assert one.std() == pytest.approx(np.sqrt(0.75 * 0.25 / 200), rel=0.06)


def test_leaving_out_many_clusters_goes_by_blocks() -> None:
    rng = np.random.default_rng(0)
    wide = np.column_stack([rng.random(3000), np.ones(3000), rng.random((3000, 1400))])
    values, counts = left_out(clustered(wide, range(3000)), ACCURACY.value)
    assert len(values) == 500 and counts.sum() == 500
    blocked = np.sqrt(499 / 500 * ((values - values.mean()) ** 2).sum())
    assert blocked == pytest.approx(wide[:, 0].std() / np.sqrt(3000), rel=0.15)


def test_same_seed_same_interval() -> None:
    once, again, other = (interval(noise(60), range(60), ACCURACY, seed=seed) for seed in (3, 3, 4))
    assert once == again
    assert (once.lower, once.upper) != (other.lower, other.upper)


def test_the_interval_and_the_first_look_agree() -> None:
    error = look_error(0.95, 1)
    for statistics, metric in ((noise(60), ACCURACY), (macro_rows(60), MACRO), (means([1] * 50 + [0] * 10), ACCURACY)):
        found = interval(statistics, range(60), metric)
        assert lower_bound(statistics, range(60), metric, error=error) == found.lower
        assert decision_bound(statistics, range(60), metric, rising=False, error=error) == found.upper


def test_every_look_asks_for_more() -> None:
    assert look_error(0.95, 1) == pytest.approx(0.025)
    assert sum(look_error(0.95, k) for k in range(1, 40)) == pytest.approx(0.05)
    for statistics, metric in ((noise(60), ACCURACY), (macro_rows(60), MACRO), (means([1] * 50 + [0] * 10), ACCURACY)):
        bounds = [lower_bound(statistics, range(60), metric, error=look_error(0.95, look)) for look in (1, 2, 4, 8)]
        assert bounds == sorted(bounds, reverse=True) and len(set(bounds)) == 4


def test_one_cluster_says_nothing_of_others() -> None:
    found = interval(noise(5), ["g"] * 5, ACCURACY)
    assert (found.lower, found.upper, found.method, found.clusters) == (0, 1, "range", 1)
    assert interval(np.ones((1, 10)), ["g"], BLEU).upper == 100


def test_flawless_clusters_prove_only_what_so_many_can() -> None:
    flawless = means([1.0] * 100)
    found = interval(flawless, [i % 10 for i in range(100)], ACCURACY)
    assert found.lower == pytest.approx(0.025 ** (1 / 10)) and found.upper == 1
    nearly = flawless.copy()
    nearly[0, 0] = 0
    assert interval(nearly, [i % 10 for i in range(100)], ACCURACY).lower <= found.lower


def test_all_alike_in_the_middle_of_the_range() -> None:
    found = interval(means([0.5] * 40), range(40), ACCURACY)
    seen = 0.025 ** (1 / 40)
    assert (found.lower, found.upper) == pytest.approx((0.5 * seen, 0.5 * seen + 1 - seen))
    assert found.method == "beta"


def test_never_outside_the_range_and_around_the_value() -> None:
    for seed in range(20):
        found = interval(macro_rows(12, seed, right=0.9), range(12), MACRO, resamples=300)
        assert 0 <= found.lower <= found.value <= found.upper <= 1


def test_bad_input() -> None:
    with pytest.raises(BadInput, match="3 rows of statistics stand beside 2"):
        interval(noise(3), range(2), ACCURACY)
    with pytest.raises(BadInput, match="nothing to score"):
        interval(np.zeros((0, 2)), [], ACCURACY)
    with pytest.raises(BadInput, match="row 2 holds"):
        interval(np.array([[1, 1], [np.nan, 1]]), range(2), ACCURACY)
    for confidence in (0.0, 1.0, 95.0):
        with pytest.raises(BadInput, match="between 0 and 1"):
            interval(noise(5), range(5), ACCURACY, confidence=confidence)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=12),
    st.sampled_from([0.2, 0.025, 0.001]),
)
def test_any_small_sample_has_an_honest_interval(rows: list[tuple[int, int]], error: float) -> None:
    statistics = means([score / 4 for score, _ in rows])
    clusters = [cluster for _, cluster in rows]
    value = ACCURACY.value(statistics.sum(0))
    lower = decision_bound(statistics, clusters, ACCURACY, rising=True, error=error)
    upper = decision_bound(statistics, clusters, ACCURACY, rising=False, error=error)
    assert 0 <= lower <= value + 1e-9 and value - 1e-9 <= upper <= 1
    assert lower <= error ** (1 / len(set(clusters))) + 1e-9
