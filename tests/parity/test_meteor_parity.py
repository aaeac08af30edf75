"""METEOR beside the common toolkit's, whose synonyms are taken away by a dictionary that knows none."""

from __future__ import annotations

import random

import pytest
from nltk.translate.meteor_score import meteor_score
from real_words import pairs

from escalade.evaluate.metric import load_metric
from escalade.evaluate.script import splitter
from escalade.protocols import Prediction
from escalade.records import Question
from escalade.values import Facts


class NoSynonyms:
    def synsets(self, word: str) -> list[object]:
        return []


def compare(answers: list[str], references: list[tuple[str, ...]]) -> None:
    records = [Question(str(i), "", "", given) for i, given in enumerate(references)]
    metric = load_metric("meteor", Facts(kind="generation", language="en"), records)
    assert "exact+stem" in metric.signature and "tok:latin" in metric.signature
    rows = metric.statistics([Prediction(text=text) for text in answers], records)
    words = splitter("latin")
    for row, answer, given in zip(rows, answers, references, strict=True):
        wanted = meteor_score([words(text) for text in given], words(answer), wordnet=NoSynonyms())
        assert row[0] == pytest.approx(wanted, abs=1e-9), (answer, given)


def test_real_words() -> None:
    made = pairs(200)
    compare([answer for answer, _ in made], [(reference,) for _, reference in made])


def test_few_words_again_and_again() -> None:
    rng = random.Random(0)
    words = "run runs running a the cats cat sitting sits is".split()

    def text() -> str:
        return " ".join(rng.choice(words) for _ in range(rng.randrange(12)))

    compare(["", *(text() for _ in range(400))], [("the cats",), *((text(), text()) for _ in range(400))])
