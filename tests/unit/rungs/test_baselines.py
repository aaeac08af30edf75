"""Baselines: each answers as well after saving and loading, without pickle, in any script."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.records import Labelled, Pair, Record, Tagged
from escalade.rungs.baselines import METHODS, Linear, Majority
from escalade.rungs.baselines.base import most_common
from escalade.rungs.baselines.features import Features
from escalade.rungs.baselines.logistic import Logistic
from escalade.values import Facts

WORDS = "good great fine lovely bad awful poor sad film plot actor scene".split()


def labelled(count: int, labels: tuple[str, ...] = ("neg", "neutral", "pos")) -> list[Record]:
    draw = random.Random(0)
    made: list[Record] = []
    for i in range(count):
        label = labels[i % len(labels)]
        words = draw.choices(WORDS, k=6) + [f"mark{labels.index(label)}"]
        draw.shuffle(words)
        made.append(Labelled(f"train:{i}", " ".join(words), label))
    return made


def tagged(count: int) -> list[Record]:
    draw = random.Random(1)
    made: list[Record] = []
    for i in range(count):
        tokens = [draw.choice(["I", "saw", "Paris", "Oslo", "today", "in"]) for _ in range(6)]
        tags = ["B-place" if t in ("Paris", "Oslo") else "O" for t in tokens]
        made.append(Tagged(f"train:{i}", tuple(tokens), tuple(tags)))
    return made


def pairs(count: int) -> list[Record]:
    draw = random.Random(2)
    return [
        Pair(f"train:{i}", f"{draw.choice(WORDS)} one. {draw.choice(WORDS)} two. Three.", draw.choice(WORDS))
        for i in range(count)
    ]


CASES: dict[str, tuple[list[Record], Facts]] = {
    "majority": (labelled(30), Facts(kind="classification", labels=("neg", "neutral", "pos"))),
    "nearest": (labelled(30), Facts(kind="classification", labels=("neg", "neutral", "pos"))),
    "linear": (labelled(60), Facts(kind="classification", labels=("neg", "neutral", "pos"))),
    "linear-tags": (tagged(30), Facts(kind="token-classification", labels=("B-place", "O"))),
    "copy": (pairs(20), Facts(kind="summarization")),
    "lead": (pairs(20), Facts(kind="summarization")),
}


@pytest.mark.parametrize("name", METHODS)
def test_answers_the_same_after_saving_and_loading(name: str, tmp_path: Path) -> None:
    records, facts = CASES[name]
    fitted = METHODS[name].fit(records, facts, 0)
    fitted.save(tmp_path)
    assert {p.suffix for p in tmp_path.iterdir()} <= {".json", ".safetensors"}
    assert list(METHODS[name].load(tmp_path, facts).predict(records)) == list(fitted.predict(records))


@pytest.mark.parametrize("name", METHODS)
def test_saves_the_same_bytes_for_the_same_rows(name: str, tmp_path: Path) -> None:
    records, facts = CASES[name]
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        METHODS[name].fit(records, facts, 0).save(tmp_path / folder)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_linear_learns_what_marks_a_label_among_three() -> None:
    records, facts = CASES["linear"]
    answers = list(Linear.fit(records, facts, 0).predict(records))
    assert [a.label for a in answers] == [r.label for r in records if isinstance(r, Labelled)]
    assert all(abs(sum((a.probabilities or {}).values()) - 1) < 1e-9 for a in answers)


def test_linear_reads_scripts_without_blanks() -> None:
    good, bad = ["很好吃味道足", "非常好吃推荐", "好吃又便宜"], ["太难吃了差评", "非常难吃失望", "难吃还很贵"]
    rows: list[Record] = [Labelled(f"{i}", t, "pos") for i, t in enumerate(good)]
    rows += [Labelled(f"n{i}", t, "neg") for i, t in enumerate(bad)]
    fitted = Linear.fit(rows, Facts(kind="classification", labels=("neg", "pos"), language="zh"), 0)
    unseen: list[Record] = [Labelled("a", "这家好吃", ""), Labelled("b", "那家难吃", "")]
    assert [a.label for a in fitted.predict(unseen)] == ["pos", "neg"]


def test_logistic_agrees_with_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(0)
    features = draw.normal(size=(80, 5))
    for labels in (["a", "b"], ["a", "b", "c"]):
        answers = [labels[int(i)] for i in draw.integers(0, len(labels), 80)]
        ours = Logistic.fit(features, answers, 1.0, 0).log_probabilities(features)
        theirs = LogisticRegression(C=1.0, max_iter=200, tol=1e-3, random_state=0).fit(features, answers)
        assert np.abs(np.exp(ours) - theirs.predict_proba(features)).max() < 1e-5


def test_majority_tells_the_shares() -> None:
    facts = Facts(kind="classification", labels=("a", "b"))
    rows: list[Record] = [Labelled("1", "x", "b"), Labelled("2", "y", "b"), Labelled("3", "z", "a")]
    (answer,) = Majority.fit(rows, facts, 0).predict(rows[:1])
    assert answer.label == "b" and answer.probabilities == {"a": 1 / 3, "b": 2 / 3}
    assert most_common(["b", "a"]) == "a", "of equals the first in order, whatever the rows' order"


@settings(deadline=None, max_examples=25)
@given(st.lists(st.text(min_size=1, max_size=30), min_size=2, max_size=8))
def test_features_take_any_text(texts: list[str]) -> None:
    usable = [t for t in texts if t.strip()]
    if not usable:
        return
    matrix = Features.fit([*usable, "a b"]).transform(texts)
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(1))).ravel()
    assert np.isfinite(lengths).all() and (lengths <= 1 + 1e-9).all()
