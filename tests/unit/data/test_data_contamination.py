"""Test rows that train has shown: whole, nearly, or thirteen words of them."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.data import contaminated
from escalade.data.contamination import shared_runs
from escalade.records import Labelled, Pair, Record

WORDS = "river stone cloud garden winter candle mirror engine harbour pepper violin lantern meadow copper".split()


def text(seed: int, words: int = 20) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def test_each_way_finds_its_rows() -> None:
    train: list[Record] = [Labelled(f"train:{i}", text(i), "a") for i in range(40)]
    inside = "so " + " ".join(text(3).split()[2:15]) + " end"
    assert len(inside.split()) == 15
    test: list[Record] = [
        Labelled("test:same", text(0).upper() + "  ", "a"),
        Labelled("test:same_input", text(1), "b"),
        Labelled("test:near", text(2) + "s", "a"),
        Labelled("test:run", inside, "a"),
        Labelled("test:clean", text(1000), "a"),
    ]
    found = contaminated(train, test)
    assert found.same == ("test:same",) and found.same_input == ("test:same_input",) and found.near == ("test:near",)
    assert {"test:run", "test:same", "test:same_input", "test:near"} == set(found.runs)
    assert found.ids == ("test:near", "test:run", "test:same", "test:same_input")


def test_twelve_words_in_a_row_are_not_thirteen() -> None:
    words = [f"word{i}" for i in range(30)]
    train: list[Record] = [Pair("train:0", " ".join(words), "")]
    twelve = Pair("test:0", " ".join([*words[5:17], "other"]), "")
    thirteen = Pair("test:1", " ".join([*words[5:18], "other"]), "")
    assert shared_runs(train, [twelve, thirteen]) == [False, True]
    assert shared_runs(train, [Pair("test:2", " ".join(reversed(words)), "")]) == [False]


def test_the_wanted_output_counts_too_and_scripts_without_blanks_are_read_by_character() -> None:
    answer = text(7)
    assert shared_runs([Pair("train:0", "ask", answer)], [Pair("test:0", "question", answer)]) == [True]
    chinese = "昨天晚上点的外卖送得很快味道也非常好下次还会再来这家店点餐的谢谢老板"
    train: list[Record] = [Labelled("train:0", chinese, "1")]
    assert shared_runs(train, [Labelled("test:0", "！" + chinese[2:30], "0")]) == [True]
    assert shared_runs(train, [Labelled("test:0", chinese[2:26] + "不好吃也不快", "0")]) == [False]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=6), st.lists(st.text(max_size=60), min_size=1, max_size=6))
def test_runs_are_those_of_a_plain_search(train: list[str], test: list[str]) -> None:
    """Beside a search by sets of tuples, on any text, some of it repeated so that runs do occur."""
    from escalade.data.contamination import _CHARACTERS, _UNSPACED, _WORD, RUN
    from escalade.data.duplicates import normalised

    def runs(written: str) -> set[tuple[str, ...]]:
        plain = normalised(f"{written}\n")
        dense = len(_UNSPACED.findall(plain)) * 2 > len(plain)
        pieces = [c for c in plain if c.isalnum()] if dense else _WORD.findall(plain)
        length = _CHARACTERS if dense else RUN
        return {tuple(pieces[i : i + length]) for i in range(len(pieces) - length + 1)}

    train = [one + " " + " ".join(one.split() * 5) for one in train]
    test = [*test, *(" ".join(one.split() * 3) for one in train[:2])]
    known = {run for one in train for run in runs(one)}
    expected = [bool(runs(one) & known) for one in test]
    known_records, asked = ([Pair(f"{i}", one, "") for i, one in enumerate(texts)] for texts in (train, test))
    assert shared_runs(known_records, asked) == expected
