"""ROUGE beside rouge_score, row by row: every variant, stemmed or not, and precision and recall as well as F1."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_words import pairs
from rouge_score.rouge_scorer import RougeScorer

from escalade.evaluate.metric import load_metric
from escalade.protocols import Prediction
from escalade.records import Question, Record
from escalade.values import Facts

NAMES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
SCORERS = {stem: RougeScorer(list(NAMES), use_stemmer=stem == "yes") for stem in ("no", "yes")}
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
    "\n\n",
    "one\n\ntwo three\n",
    "x" * 500,
    "1,000.5 and 2-3",
    "…—“quotes”",
    "the cat " * 60,
]


def compare(answers: list[str], references: list[tuple[str, ...]], stem: str) -> None:
    records: list[Record] = [Question(str(i), "", "", given) for i, given in enumerate(references)]
    predictions = [Prediction(text=text) for text in answers]
    theirs = [SCORERS[stem].score_multi(given, text) for text, given in zip(answers, references, strict=True)]
    for name in NAMES:
        metric = load_metric(f"{name}:stem={stem}:tok=latin", ENGLISH, records)
        rows = metric.statistics(predictions, records)
        wanted = np.array([(s[name].fmeasure, s[name].precision, s[name].recall, 1) for s in theirs])
        wrong = np.flatnonzero(np.abs(rows - wanted).max(axis=1) > 1e-9)
        assert not len(wrong), (name, stem, answers[wrong[0]], references[wrong[0]])
        of_recall = load_metric(f"{name}:of=recall", ENGLISH, records)
        assert of_recall.value(rows.sum(0)) == pytest.approx(wanted[:, 2].mean(), abs=1e-9)


def random_text(rng: random.Random) -> str:
    words = ["the", "a", "cat", "Dog", "sat.", "sitting", "on", "mats,", "über", "it's", "42", "--", "x_y", "\n"]
    return " ".join(rng.choice(words) for _ in range(rng.randrange(25)))


@pytest.mark.parametrize("stem", ["no", "yes"])
def test_real_words(stem: str) -> None:
    made = pairs(150)
    compare([answer for answer, _ in made], [(reference,) for _, reference in made], stem)


@pytest.mark.parametrize("stem", ["no", "yes"])
def test_made_texts_of_several_lines(stem: str) -> None:
    rng = random.Random(0)
    compare([random_text(rng) for _ in range(500)], [(random_text(rng),) for _ in range(500)], stem)


@pytest.mark.parametrize("stem", ["no", "yes"])
def test_awkward_texts(stem: str) -> None:
    made = [(answer, reference) for answer in AWKWARD for reference in AWKWARD if len(answer + reference) < 700]
    compare([answer for answer, _ in made], [(reference,) for _, reference in made], stem)


def test_best_of_several_references_as_score_multi() -> None:
    rng = random.Random(1)
    references = [tuple(random_text(rng) for _ in range(rng.randrange(1, 5))) for _ in range(300)]
    compare([random_text(rng) for _ in references], references, "no")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=60) | st.text(alphabet="abß \n.İ"), max_size=6),
    st.text(alphabet="ab c.é\n", max_size=60),
)
def test_any_text(answers: list[str], reference: str) -> None:
    compare(["a", *answers], [("a",), *((reference,) for _ in answers)], "yes")
