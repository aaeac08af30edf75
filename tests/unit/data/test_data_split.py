"""Splitting: sizes, strata, groups; what may and what may not move a row."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.data import Placed, assign
from escalade.data.split import ENOUGH, sizes
from escalade.errors import BadInput
from escalade.project import SplitRule
from escalade.values import SplitName

BOTH: list[SplitName] = ["validation", "test"]


def cut(rows: list[Placed], missing: list[SplitName] = BOTH, seed: int = 0, **rule: object) -> list[SplitName]:
    return assign(rows, missing, SplitRule.model_validate(rule), seed, "a.csv")


def labelled(n: int, labels: int = 3) -> list[Placed]:
    return [Placed(i, (f"l{i % labels}",)) for i in range(1, n + 1)]


def test_enough_rows_bound_the_interval() -> None:
    def half_width(n: int) -> float:
        return float(1.959963984540054 * (0.25 / n) ** 0.5)

    assert ENOUGH == 1068 and half_width(ENOUGH) <= 0.03 < half_width(ENOUGH - 1)


@pytest.mark.parametrize(
    ("rows", "rule", "wanted"),
    [
        (20_000, {}, {"test": 1068, "validation": 1068}),
        (2000, {}, {"test": 600, "validation": 300}),
        (10, {}, {"test": 3, "validation": 1}),
        (1000, {"test": 0.2, "validation": 0.1}, {"test": 200, "validation": 100}),
        (5000, {"test": 0.5}, {"test": 2500, "validation": 750}),
    ],
)
def test_sizes(rows: int, rule: dict[str, object], wanted: dict[str, int]) -> None:
    assert sizes(rows, BOTH, SplitRule.model_validate(rule)) == wanted
    counts = Counter(cut(labelled(rows), **rule))
    assert {name: counts[name] for name in wanted} == wanted


def test_only_what_is_missing_is_cut() -> None:
    assert set(cut(labelled(50), ["validation"])) == {"train", "validation"}
    assert set(cut(labelled(50), ["test"])) == {"train", "test"}
    assert set(cut(labelled(5), [])) == {"train"}


def test_labels_keep_their_shares() -> None:
    rows = [Placed(i, ("rare" if i % 20 == 0 else "common",)) for i in range(1, 2001)]
    names = cut(rows)
    for name in ("train", "validation", "test"):
        held = [row.labels[0] for row, split in zip(rows, names, strict=True) if split == name]
        assert abs(held.count("rare") / len(held) - 0.05) < 0.004


def test_a_label_of_one_row_stays_in_train() -> None:
    rows = [Placed(i, ("only" if i == 7 else "many",)) for i in range(1, 101)]
    for seed in range(20):
        assert cut(rows, seed=seed)[6] == "train"
    assert set(cut([Placed(i, (f"l{i}",)) for i in range(1, 41)])) == {"train", "validation", "test"}


def test_the_seed_decides_and_nothing_else() -> None:
    rows = labelled(300)
    assert cut(rows) == cut(rows) != cut(rows, seed=1)
    shuffled = rows[::-1]
    again = {row.number: name for row, name in zip(shuffled, cut(shuffled), strict=True)}
    assert [again[row.number] for row in rows] == cut(rows)


def test_groups_are_never_torn_apart() -> None:
    rows = [Placed(i, (f"l{i % 2}",), f"g{i % 37}") for i in range(1, 1001)]
    names = cut(rows)
    homes: dict[str, set[str]] = {}
    for row, name in zip(rows, names, strict=True):
        homes.setdefault(row.group or "", set()).add(name)
    assert all(len(home) == 1 for home in homes.values())
    counts = Counter(names)
    assert 300 <= counts["test"] <= 330 and 150 <= counts["validation"] <= 180


def test_groups_go_by_name_and_seed() -> None:
    rows = [Placed(i, (), f"g{i % 40}") for i in range(1, 401)]
    names = dict(zip((row.group for row in rows), cut(rows), strict=True))
    moved = [Placed(1000 - i, (), row.group) for i, row in enumerate(rows)]
    assert dict(zip((row.group for row in moved), cut(moved), strict=True)) == names


def test_a_group_that_holds_the_last_of_a_label_stays_in_train() -> None:
    rows = [Placed(i, ("rare" if i % 20 == 3 else "many",), f"g{i % 20}") for i in range(1, 401)]
    for seed in range(20):
        names = cut(rows, seed=seed)
        assert {name for row, name in zip(rows, names, strict=True) if row.labels == ("rare",)} == {"train"}


def test_a_huge_group_stays_in_train() -> None:
    rows = [Placed(i, (), "huge" if i > 30 else f"g{i}") for i in range(1, 201)]
    names = cut(rows)
    assert names[-1] == "train" and Counter(names)["test"] >= 15


def test_rows_without_a_group_stand_for_themselves() -> None:
    rows = [Placed(i, (), "g" if i < 4 else None) for i in range(1, 101)]
    names = cut(rows)
    assert len(set(names[:3])) == 1 and Counter(names)["test"] == pytest.approx(30, abs=3)


@pytest.mark.parametrize(
    ("rows", "rule", "key"),
    [
        (labelled(9), {}, "data.too_few_rows"),
        ([Placed(i, (), f"g{i % 2}") for i in range(50)], {}, "data.too_few_groups"),
        (labelled(50), {"test": 0.5, "validation": 0.5}, "data.split_shares"),
    ],
)
def test_what_cannot_be_split(rows: list[Placed], rule: dict[str, object], key: str) -> None:
    with pytest.raises(BadInput) as caught:
        cut(rows, **rule)
    assert caught.value.key == key and caught.value.place == "a.csv" and caught.value.cure


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("xyzuvw")), min_size=10, max_size=80),
    st.booleans(),
    st.integers(0, 5),
)
def test_no_split_is_ever_empty(pairs: list[tuple[str, str]], grouped: bool, seed: int) -> None:
    rows = [Placed(i, (label,), group if grouped else None) for i, (label, group) in enumerate(pairs)]
    if grouped and len({group for _, group in pairs}) < 3:
        with pytest.raises(BadInput):
            cut(rows, seed=seed)
        return
    names = cut(rows, seed=seed)
    assert set(names) == {"train", "validation", "test"}
    if not grouped:
        assert Counter(names)["test"] <= 0.3 * len(rows)
