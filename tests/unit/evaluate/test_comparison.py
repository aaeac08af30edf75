"""Comparisons: Holm's correction, slices, and the sentence that may be quoted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade import messages
from escalade.errors import BadInput
from escalade.evaluate import compare, corrected, load_metric, slices_of, text_compare
from escalade.evaluate.comparison import holm, slice_lengths
from escalade.evaluate.metric import means
from escalade.records import Labelled
from escalade.values import Facts

ACCURACY = load_metric("accuracy", Facts(kind="classification", labels=("a", "b")))


def test_holm_on_the_textbook_case() -> None:
    """p = .01, .04, .03: times 3, then 2, then 1 in rising order, and never falling: .03, .06, .06."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5]) == [0.5] and holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_nor_changes_their_order(values: list[float]) -> None:
    found = holm(values)
    assert all(p <= q <= 1 for p, q in zip(values, found, strict=True))
    order = sorted(range(len(values)), key=lambda i: values[i])
    assert [found[i] for i in order] == sorted(found)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60))
def test_lengths_are_sliced_into_at_most_four_and_equal_ones_stay_together(lengths: list[int]) -> None:
    names = slice_lengths(lengths)
    assert len(set(names)) <= 4 and len(set(zip(lengths, names, strict=True))) == len(set(lengths))
    for length, name in zip(lengths, names, strict=True):
        low, high = map(int, name.split("-"))
        assert low <= length <= high


def rows(right: list[int]) -> np.ndarray:
    return means([float(r) for r in right])


def test_the_sentence_says_who_is_better_and_by_how_much() -> None:
    worse, better = rows([0, 1] * 20), rows([1] * 40)
    found = compare(("base", "tuned"), (worse, better), range(40), ACCURACY, resamples=2000)
    assert found.sentence.startswith("tuned is better than base: accuracy 1 against 0.5, a difference of +0.5000 [+0.3")
    assert compare(("base", "tuned"), (better, worse), range(40), ACCURACY).sentence.startswith("tuned is worse")
    same = compare(("base", "tuned"), (worse, worse), range(40), ACCURACY, resamples=500)
    assert same.sentence.startswith("No difference between tuned and base is shown") and same.paired.p == 1
    falling = compare(("base", "tuned"), (worse, better), range(40), ACCURACY, rising=False, resamples=2000)
    assert falling.sentence.startswith("tuned is worse")
    grouped = compare(("base", "tuned"), (worse, better), [i // 2 for i in range(40)], ACCURACY, resamples=2000)
    assert grouped.sentence.endswith("n = 40 in 20 groups.")
    messages.use("zh")
    assert found.sentence.startswith("tuned 优于 base")


def test_what_alone_was_significant_need_not_be_so_among_many() -> None:
    chance = np.random.default_rng(3)
    first = chance.random(60)
    pairs = [(means(first.tolist()), means((first + chance.normal(0.03, 0.1, 60)).tolist())) for _ in range(5)]
    alone = [compare(("a", f"b{i}"), pair, range(60), ACCURACY, resamples=2000) for i, pair in enumerate(pairs)]
    together = corrected(alone)
    assert all(one.p_holm == one.paired.p for one in alone)
    assert any(one.p_holm < 0.05 <= other.p_holm for one, other in zip(alone, together, strict=True))


def test_slices_are_of_the_items_they_name() -> None:
    records = [Labelled(f"r:{i}", "x" * (1 + i % 8), "ab"[i % 2]) for i in range(80)]
    one, other = rows([0] * 80), rows([i % 2 for i in range(80)])
    found = compare(("a", "b"), (one, other), range(80), ACCURACY, slices_of(records), resamples=500)
    by_label = {s.name: s for s in found.slices if s.by == "label"}
    assert by_label["a"].difference == 0 and by_label["b"].difference == 1 and by_label["a"].n == 40
    lengths = [s for s in found.slices if s.by == "length"]
    assert [s.name for s in lengths] == ["1-2", "3-4", "5-6", "7-8"] and sum(s.n for s in lengths) == 80
    assert "label" not in slices_of(records, "macro_f1") and slices_of(records[:1]) == {}


def test_texts_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(BadInput) as caught:
        text_compare({"a": ["x"], "b": ["x", "y"]}, ["x", "y"])
    assert caught.value.key == "evaluate.lengths_differ" and caught.value.place == "a"
    with pytest.raises(BadInput) as caught:
        text_compare({"a": ["x"], "b": ["x"]}, ["x"], ["accuracy"])
    assert caught.value.key == "evaluate.not_text_metric"
    with pytest.raises(BadInput) as caught:
        text_compare({"a": ["x"], "b": ["x"]}, ["x"], groups=["one", "two"])
    assert caught.value.key == "evaluate.clusters_differ"
