"""Do the intervals hold what they say? Repeated draws from known truths, the seeds fixed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from escalade.evaluate import decision_bound, interval, load_metric, look_error, paired
from escalade.evaluate.metric import Matrix, Metric, means
from escalade.values import Facts

pytestmark = pytest.mark.slow
ACCURACY = load_metric("accuracy", Facts(kind="classification", labels=("a",)))
MACRO = load_metric("macro_f1", Facts(kind="classification", labels=("a", "b", "c", "d")))
Draw = Callable[[np.random.Generator, int], Matrix]
"""Sums of so many clusters; a cluster stands for a handful of rows."""


def shares(mean: float, spread: float = 4) -> Draw:
    """Clusters of about five rows whose share of right ones varies from cluster to cluster."""

    def draw(rng: np.random.Generator, clusters: int) -> Matrix:
        rows = rng.poisson(4, clusters) + 1
        right = rng.binomial(rows, rng.beta(mean * spread, (1 - mean) * spread, clusters))
        return np.column_stack([right, rows]).astype(np.float64)

    return draw


def skewed(rng: np.random.Generator, clusters: int) -> Matrix:
    """Scores as ROUGE has them: mostly low, a few high."""
    return means(rng.beta(1.2, 6, clusters).tolist())


def labels(right: float) -> Draw:
    """Four labels, the rarest one row in ten; clusters of about five rows."""

    def draw(rng: np.random.Generator, clusters: int) -> Matrix:
        sums = np.zeros((clusters, 15))
        rows = rng.poisson(4, clusters) + 1
        cluster = np.repeat(np.arange(clusters), rows)
        true = rng.choice(4, len(cluster), p=[0.5, 0.25, 0.15, 0.1])
        hit = rng.random(len(cluster)) < np.repeat(rng.beta(right * 6, (1 - right) * 6, clusters), rows)
        found = np.where(hit, true, (true + rng.integers(1, 4, len(cluster))) % 4)
        np.add.at(sums, (cluster[hit], true[hit]), 1)
        np.add.at(sums, (cluster[~hit], 5 + found[~hit]), 1)
        np.add.at(sums, (cluster[~hit], 10 + true[~hit]), 1)
        return sums

    return draw


@pytest.mark.parametrize(
    ("draw", "clusters"),
    [
        (shares(0.7), 60),
        (shares(0.7), 15),
        (shares(0.9), 60),
        (shares(0.95), 200),
        (skewed, 60),
        (labels(0.6), 60),
        (labels(0.85), 60),
        (labels(0.85), 20),
    ],
)
def test_the_bound_errs_no_more_than_it_says(draw: Draw, clusters: int) -> None:
    """One-sided error asked for: 2.5 %. 1,000 draws, so that the figure itself is good to 0.5 points."""
    metric = ACCURACY if draw(np.random.default_rng(0), 2).shape[1] == 2 else MACRO
    rng = np.random.default_rng(1)
    truth = float(metric.value(draw(np.random.default_rng(2), 400_000).sum(0)))
    above = below = 0
    for seed in range(1000):
        found = interval(draw(rng, clusters), range(clusters), metric, seed=seed)
        above += found.lower > truth
        below += found.upper < truth
    assert above / 1000 <= 0.035 and below / 1000 <= 0.035
    # And it is not bought by saying nothing: some draws do err.
    assert above + below >= 20


ENTITIES = load_metric("entity_f1", Facts(kind="token-classification", labels=("B-X", "I-X", "O")))
ROUGE = load_metric("rougeL", Facts(kind="summarization"))


def items(rng: np.random.Generator, n: int, of_a_kind: int) -> Matrix:
    """Scores of single texts; ``of_a_kind`` of them are of one source and alike."""
    centre = np.repeat(rng.beta(4, 6, n // of_a_kind), of_a_kind) if of_a_kind > 1 else np.full(n, 0.4)
    score = rng.beta(centre * 5, (1 - centre) * 5)
    return np.column_stack([score, score, score, np.ones(len(score))])


def entities(rng: np.random.Generator, n: int, of_a_kind: int) -> Matrix:
    """Entities right, predicted and true of sentences: F1 of their sums is no mean of anything."""
    found = np.repeat(rng.beta(6, 4, n // of_a_kind), of_a_kind) if of_a_kind > 1 else np.full(n, 0.6)
    true = rng.poisson(2, len(found))
    right = rng.binomial(true, found)
    predicted = right + rng.poisson(0.8, len(found))
    return np.column_stack([2 * right, predicted + true, predicted]).astype(np.float64)


@pytest.mark.parametrize(("draw", "metric"), [(items, ROUGE), (entities, ENTITIES)], ids=["mean", "corpus"])
@pytest.mark.parametrize("of_a_kind", [1, 3])
def test_intervals_cover_what_they_say(draw: Callable[..., Matrix], metric: Metric, of_a_kind: int) -> None:
    """95 %, of means and of corpus metrics, of rows that stand alone and of rows that come in groups."""
    truth = float(metric.value(draw(np.random.default_rng(7), 600_000, of_a_kind).sum(0)))
    covered = 0
    for seed in range(1500):
        rows = draw(np.random.default_rng([seed, of_a_kind]), 300, of_a_kind)
        found = interval(rows, (np.arange(len(rows)) // of_a_kind).tolist(), metric, resamples=1000, seed=seed)
        covered += found.lower <= truth <= found.upper
    assert 0.93 <= covered / 1500 <= 0.97, covered


@pytest.mark.parametrize(("draw", "metric"), [(items, ROUGE), (entities, ENTITIES)], ids=["mean", "corpus"])
@pytest.mark.parametrize("of_a_kind", [1, 3])
def test_two_models_alike_differ_in_one_of_twenty_tests(
    draw: Callable[..., Matrix], metric: Metric, of_a_kind: int
) -> None:
    wrong = 0
    for seed in range(3000):
        rng = np.random.default_rng([seed, of_a_kind, 1])
        first, second = draw(rng, 150, of_a_kind), draw(rng, 150, of_a_kind)
        clusters = (np.arange(len(first)) // of_a_kind).tolist()
        wrong += paired(first, second, clusters, metric.value, resamples=400, seed=seed).p <= 0.05
    assert 0.04 <= wrong / 3000 <= 0.06, wrong


def test_later_looks_err_less() -> None:
    rng, draw = np.random.default_rng(3), shares(0.7)
    truth = float(ACCURACY.value(draw(np.random.default_rng(2), 400_000).sum(0)))
    error, wrong = look_error(0.95, 3), 0
    for seed in range(1500):
        sums = draw(rng, 60)
        wrong += decision_bound(sums, range(60), ACCURACY, rising=True, error=error, seed=seed) > truth
    assert wrong / 1500 <= 0.011, "asked for 0.6 %"


def test_the_exact_bound_is_guaranteed() -> None:
    rng = np.random.default_rng(4)
    for truth, n in ((0.97, 50), (0.8, 200), (0.5, 31)):
        right = rng.binomial(n, truth, 4000)
        bounds = {
            k: decision_bound(means([1.0] * k + [0.0] * (n - k)), range(n), ACCURACY, rising=True, error=0.025)
            for k in set(right.tolist())
        }
        assert np.mean([bounds[k] > truth for k in right.tolist()]) <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 4000)


def test_two_equal_models_differ_significantly_in_one_of_twenty_tests() -> None:
    rng, draw = np.random.default_rng(5), labels(0.7)
    found = wrong = 0
    for seed in range(2000):
        first, second = draw(rng, 40), draw(rng, 40)
        result = paired(first, second, range(40), MACRO.value, resamples=400, seed=seed)
        found += result.p <= 0.05
        wrong += not result.lower <= 0 <= result.upper
    assert 0.04 <= found / 2000 <= 0.06
    assert wrong / 2000 <= 0.07


def test_rows_taken_as_independent_would_err_far_more() -> None:
    rng = np.random.default_rng(6)
    missed = {"rows": 0, "clusters": 0}
    for seed in range(400):
        centre = np.repeat(rng.normal(0.5, 0.1, 40), 10)
        scores = means((centre + rng.normal(0, 0.05, 400)).clip(0, 1).tolist())
        for name, clusters in (("rows", np.arange(400)), ("clusters", np.arange(400) // 10)):
            found = interval(scores, clusters.tolist(), ACCURACY, resamples=1000, seed=seed)
            missed[name] += not found.lower <= 0.5 <= found.upper
    assert missed["clusters"] / 400 <= 0.07 and missed["rows"] / 400 >= 0.3
