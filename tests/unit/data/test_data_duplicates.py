"""Duplicates across splits: exact, near, and not missed."""

from __future__ import annotations

import random

import numpy as np
import pytest

from escalade.data import duplicates
from escalade.data.duplicates import normalised
from escalade.data.minhash import candidates, jaccard, shingles, signatures
from escalade.records import Labelled, Pair, Question

WORDS = [
    f"{a}{b}{c}" for a in ("ka", "mo", "ti", "ru", "sel") for b in ("na", "vo", "pi") for c in ("t", "l", "mer", "")
]


def sentence(chance: random.Random, words: int) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(words))


def altered(text: str, chance: random.Random) -> str:
    """The text with one word replaced; a short one with some letters before it."""
    if len(text) < 60:
        return "".join(chance.choice("abcdefgh") for _ in range(chance.randrange(1, 8))) + text
    words = text.split()
    words[chance.randrange(len(words))] = "changed"
    return " ".join(words)


def labelled(split: str, *rows: tuple[str, str]) -> list[Labelled]:
    return [Labelled(f"{split}:{i}", text, label) for i, (text, label) in enumerate(rows, start=1)]


def test_equal_is_equal_after_normalising() -> None:
    assert normalised("  Ｓnow\u00a0\n FALLS ﬁne ") == "snow falls fine"
    train = labelled("train", ("Snow  falls", "a"), ("rain falls", "b"), ("Snow falls", "b"))
    test = labelled("test", ("ｓnow falls", "A"), ("RAIN falls", "c"), ("sun shines all day long", "a"))
    found = duplicates({"train": train, "validation": [], "test": test})
    pair = found.between[1]
    assert (pair.first, pair.second) == ("train", "test")
    assert (pair.same, pair.same_input, pair.near) == (1, 1, 0)
    assert pair.same_ids == ("test:1",)
    assert [example.ids for example in pair.examples] == [("train:1", "test:1"), ("train:2", "test:2")]


def test_repeats_inside_a_split_are_counted() -> None:
    train = labelled("train", ("a", "x"), ("A", "x"), ("a", "y"))
    assert duplicates({"train": train, "test": []}).within == {"train": 1, "test": 0}


def test_near_rows_are_verified() -> None:
    chance = random.Random(1)
    texts = [sentence(chance, 30) for _ in range(50)]
    train = labelled("train", *((text, "a") for text in texts))
    test = labelled(
        "test", (altered(texts[3], chance), "b"), (sentence(chance, 30), "b"), (altered(texts[3], chance), "b")
    )
    (pair,) = duplicates({"train": train, "test": test}).between
    assert (pair.same, pair.same_input, pair.near) == (0, 0, 2)
    (first, _) = pair.examples
    assert first.ids == ("train:4", "test:1")
    assert first.similarity == pytest.approx(jaccard(shingles(texts[3]), shingles(test[0].text)), abs=1e-4)


def test_repeats_of_a_near_row_are_counted_each() -> None:
    chance = random.Random(2)
    text = sentence(chance, 30)
    near = altered(text, chance)
    (pair,) = duplicates(
        {"train": labelled("train", (text, "a")), "test": labelled("test", (near, "a"), (near, "b"))}
    ).between
    assert pair.near == 2 and len(pair.examples) == 1


def test_questions_about_one_passage_are_not_alike_because_of_it() -> None:
    passage = "The wall was scaled by ladders " * 20
    train = [Question("train:1", "who scaled the wall?", passage, ("they",))]
    test = [
        Question("test:1", "what was it scaled by, and how high did it stand?", passage, ("ladders",)),
        Question("test:2", "who  scaled the wall??", passage, ("they",)),
        Question("test:3", "who  scaled the wall??", "another passage", ("they",)),
    ]
    (pair,) = duplicates({"train": train, "test": test}).between
    assert (pair.same, pair.near) == (0, 1)


@pytest.mark.parametrize(("words", "least"), [(8, 0.93), (25, 0.97), (120, 0.98)])
def test_few_pairs_above_the_threshold_are_missed(words: int, least: float) -> None:
    chance = random.Random(words)
    texts = [sentence(chance, words) for _ in range(400)]
    others = [altered(text, chance) for text in texts]
    wanted = {(i, 400 + i) for i in range(400) if jaccard(shingles(texts[i]), shingles(others[i])) >= 0.8}
    assert len(wanted) > 20
    found = set(candidates(texts + others, [0] * 400 + [1] * 400, seed=0))
    assert len(wanted & found) / len(wanted) >= least


def test_signatures_estimate_the_similarity_and_depend_on_the_seed_alone() -> None:
    chance = random.Random(5)
    text = sentence(chance, 200)
    other = " ".join(text.split()[:100]) + " " + sentence(chance, 100)
    made = signatures([text, other, "", "ab"], seed=3)
    agreement = float(np.mean(made[0] == made[1]))
    assert agreement == pytest.approx(jaccard(shingles(text), shingles(other)), abs=0.15)
    assert np.array_equal(made, signatures([text, other, "", "ab"], seed=3))
    assert not np.array_equal(made, signatures([text, other, "", "ab"], seed=4))


def test_short_and_odd_texts() -> None:
    train = [Pair("train:1", "ab", "x"), Pair("train:2", "\ud83d\ude00", "y")]
    test = [Pair("test:1", "ab ", "x"), Pair("test:2", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 雪", "y")]
    (pair,) = duplicates({"train": train, "test": test}).between
    assert (pair.same, pair.near) == (1, 0)
    assert list(candidates(["one"], [0], 0)) == []
