"""ROUGE beside rouge_score, row by row."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from escalade.evaluate.metric import load_metric
from escalade.protocols import Prediction
from escalade.records import Question
from escalade.values import Facts

NAMES = ("rouge1", "rouge2", "rougeL")
SCORER = RougeScorer(list(NAMES), use_stemmer=False)
ENGLISH = Facts(kind="summarization", language="en")
AWKWARD = [
    "",
    " ",
    "a",
    "the the the the",
    "It's cold_outside, isn't it?",
    "été naïve café",
    "日本語 text 中文",
    "İstanbul K \u212a",
    "tab\tnew\nline\u2028end",
    "x" * 500,
    "1,000.5 and 2-3",
    "…—“quotes”",
    "the cat " * 60,
]


def ours(name: str, answer: str, references: tuple[str, ...]) -> float:
    records = [
        Question("r", "", "", references),
        Question("s", "", "", ("plain English words decide the script " * 3,)),
    ]
    metric = load_metric(name, ENGLISH, records)
    assert "tok:latin" in metric.signature
    rows = metric.statistics([Prediction(text=answer), Prediction(text="")], records)
    return float(metric.value(rows[0]))


def random_text(rng: random.Random) -> str:
    words = ["the", "a", "cat", "Dog", "sat.", "on", "mat,", "über", "it's", "42", "--", "x_y"]
    return " ".join(rng.choice(words) for _ in range(rng.randrange(25)))


def pairs() -> list[tuple[str, str]]:
    rng = random.Random(0)
    made = [(random_text(rng), random_text(rng)) for _ in range(300)]
    return made + [(a, b) for a in AWKWARD for b in AWKWARD]


@pytest.mark.parametrize("name", NAMES)
def test_equal_to_rouge_score(name: str) -> None:
    for answer, reference in pairs():
        wanted = SCORER.score(reference, answer)[name].fmeasure
        assert ours(name, answer, (reference,)) == pytest.approx(wanted, abs=1e-9), (answer, reference)


@pytest.mark.parametrize("name", NAMES)
def test_best_of_several_references_as_score_multi(name: str) -> None:
    rng = random.Random(1)
    for _ in range(100):
        answer, references = random_text(rng), tuple(random_text(rng) for _ in range(3))
        wanted = SCORER.score_multi(references, answer)[name].fmeasure
        assert ours(name, answer, references) == pytest.approx(wanted, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60), st.text(alphabet="ab c.é", max_size=60))
def test_any_text(answer: str, reference: str) -> None:
    for name in NAMES:
        wanted = SCORER.score(reference, answer)[name].fmeasure
        assert ours(name, answer, (reference,)) == pytest.approx(wanted, abs=1e-9)
