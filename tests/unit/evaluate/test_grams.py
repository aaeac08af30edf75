"""Counting n-grams of many texts at once, beside counting them one text at a time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.evaluate import grams
from escalade.evaluate.common import subsequences, substring, union
from escalade.evaluate.corpus import Ragged, Splitting, as_strings
from escalade.evaluate.grams import gram_counts, shared_grams

ORDERS = (1, 2, 4, 6)
Rows = Sequence[Sequence[int]]


def ragged(rows: Rows) -> Ragged:
    codes = [code for row in rows for code in row]
    return Ragged(np.array(codes, dtype=np.int64), np.cumsum([0, *map(len, rows)], dtype=np.int64))


def counted(row: Sequence[int], order: int) -> Counter[tuple[int, ...]]:
    return Counter(tuple(row[i : i + order]) for i in range(len(row) - order + 1))


def one_by_one(answers: Rows, references: Sequence[Rows]) -> list[list[int]]:
    found = []
    for item, answer in enumerate(answers):
        most: list[Counter[tuple[int, ...]]] = [Counter() for _ in ORDERS]
        for side in references:
            most = [most[i] | counted(side[item], order) for i, order in enumerate(ORDERS)]
        found.append([(counted(answer, order) & most[i]).total() for i, order in enumerate(ORDERS)])
    return found


def random_rows(rng: random.Random, number: int, longest: int, words: int) -> list[list[int]]:
    return [[rng.randrange(words) for _ in range(rng.randrange(longest + 1))] for _ in range(number)]


@pytest.mark.parametrize("words", [2, 30, 5_000, 10**9])
@pytest.mark.parametrize("sides", [1, 2, 5])
@pytest.mark.parametrize("block", [1, 300, 1 << 15])
def test_as_one_by_one(words: int, sides: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few words repeat, very many need ranks in place of packed codes."""
    if words > 10**6:
        monkeypatch.setattr(grams, "_BITS", 20)
        words = 100
    monkeypatch.setattr(grams, "_BLOCK", block)
    rng = random.Random(words + sides)
    answers = random_rows(rng, 60, 25, words)
    references = [random_rows(rng, 60, 25, words) for _ in range(sides)]
    # Some stretches are shared, or nothing of four would ever match.
    for side in references:
        side[::2] = [row[3:] + answer[:12] for row, answer in zip(side[::2], answers[::2], strict=True)]
    found = shared_grams(ragged(answers), [ragged(side) for side in references], ORDERS)
    assert found.tolist() == one_by_one(answers, references)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(*[st.lists(st.integers(0, 3), max_size=9)] * 3), min_size=1, max_size=6))
def test_any_rows(rows: list[tuple[list[int], list[int], list[int]]]) -> None:
    answers, *references = (list(side) for side in zip(*rows, strict=True))
    found = shared_grams(ragged(answers), [ragged(side) for side in references], ORDERS)
    assert found.tolist() == one_by_one(answers, references)
    wanted = [[counted(row, order).total() for order in ORDERS] for row in answers]
    assert gram_counts(ragged(answers), ORDERS).tolist() == wanted


def test_nothing_at_all() -> None:
    assert shared_grams(ragged([[], []]), [ragged([[], []])], ORDERS).tolist() == [[0] * 4] * 2


def test_more_words_than_characters() -> None:
    first, second = ragged([[10**7, 1, 2], [5]]), ragged([[1, 10**7, 2], []])
    assert subsequences(first, second) == [2, 0]
    plain = list(as_strings(ragged([[0xD800, 0x10F7FF]]), ragged([[0xD7FF]])))
    assert len(plain[0][0]) == 2 and plain[0][0][0] != plain[0][1]


def test_substrings_and_unions() -> None:
    assert substring([1, 2, 3, 4], [9, 2, 3, 1, 2, 3, 4]) == 4
    assert substring([1, 2], [2, 1]) == 1 and substring([], [1]) == 0
    assert union([[1, 2, 6, 7, 8], [1, 3, 8, 9, 5]], [[1, 2, 3, 4, 5]]) == 4
    assert union([], [[1]]) == union([[1]], []) == 0
    # The reference has the word twice, the answer once.
    assert union([[1]], [[1], [1]]) == 1


def test_each_distinct_stretch_is_split_once() -> None:
    seen: list[str] = []

    def words(text: str) -> list[str]:
        seen.append(text)
        return text.split("-")

    way = Splitting(words, fold=str.lower)
    found = way.coded(["a-b c", "c  A-b", ""])
    assert seen == ["a-b", "c", "A-b"]
    assert found.rows() == [[0, 1, 2], [2, 0, 1], []]
