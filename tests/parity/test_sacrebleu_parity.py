"""BLEU and chrF beside sacrebleu: corpus values, tokenizers, several references."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_char import TokenizerChar
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

from escalade.evaluate.bleu_tokens import tokens
from escalade.evaluate.metric import load_metric
from escalade.protocols import Prediction
from escalade.records import Question
from escalade.values import Facts

FACTS = Facts(kind="translation", language="und")
WORDS = {
    "13a": [
        "the",
        "a",
        "cat",
        "Dog.",
        "3.5",
        "1,000",
        "x-y",
        "&quot;",
        "über",
        "(it's)",
        "-",
        "...",
        "end-\nline",
        "9-",
    ],
    "zh": ["今天", "天气，", "很好。", "我", "爱", "ABC", "3.5", "“引”", "①", "喝茶"],
    "char": ["今日は", "いい", "天気", "です。", "ABC", "ไทย", "ก็"],
}
AWKWARD = ["", " ", "a", ".", "x" * 300, "a b c d e f", "\u3000", "a\u00a0b", "<skipped>word", "5-5 a.b .5 5."]
THEIRS = {"13a": Tokenizer13a(), "zh": TokenizerZh(), "char": TokenizerChar()}
characters = st.characters(codec="utf-8")


def ours(name: str, answers: list[str], references: list[tuple[str, ...]]) -> tuple[float, str]:
    records = [Question(str(i), "", "", given) for i, given in enumerate(references)]
    metric = load_metric(name, FACTS, records)
    rows = metric.statistics([Prediction(text=text) for text in answers], records)
    return float(metric.value(rows.sum(0))), metric.signature


def corpus(style: str, rng: random.Random, rows: int, refs: int) -> tuple[list[str], list[tuple[str, ...]]]:
    def text() -> str:
        blank = " " if style == "13a" else ""
        return blank.join(rng.choice(WORDS[style]) for _ in range(rng.randrange(16)))

    references = [tuple(text() for _ in range(refs)) for _ in range(rows)]
    # Answers share stretches with their reference, so that all orders match somewhere.
    answers = [given[0][: rng.randrange(4, 40)] + text() if rng.random() < 0.7 else text() for given in references]
    return answers, references


def columns(references: list[tuple[str, ...]]) -> list[list[str]]:
    return [list(column) for column in zip(*references, strict=True)]


@pytest.mark.parametrize("style", ["13a", "zh", "char"])
@pytest.mark.parametrize("refs", [1, 3])
def test_corpus_values(style: str, refs: int) -> None:
    rng = random.Random(refs)
    for rows in (1, 2, 5, 40):
        for _ in range(8):
            answers, references = corpus(style, rng, rows, refs)
            value, signature = ours("bleu", answers, references)
            used = signature.split("tok:")[1].split("|")[0]
            wanted = BLEU(tokenize=used).corpus_score(answers, columns(references)).score
            assert value == pytest.approx(wanted, abs=1e-9)
            value, _ = ours("chrf", answers, references)
            assert value == pytest.approx(CHRF().corpus_score(answers, columns(references)).score, abs=1e-9)
    assert used == style


def test_awkward_pairs() -> None:
    scorer, chrf = BLEU(), CHRF()
    for answer in AWKWARD:
        for reference in AWKWARD:
            wanted = scorer.corpus_score([answer], [[reference]]).score
            assert ours("bleu", [answer], [(reference,)])[0] == pytest.approx(wanted, abs=1e-9), (answer, reference)
            wanted = chrf.corpus_score([answer], [[reference]]).score
            assert ours("chrf", [answer], [(reference,)])[0] == pytest.approx(wanted, abs=1e-9), (answer, reference)


def test_signature_is_sacrebleus() -> None:
    scorer = BLEU()
    scorer.corpus_score(["a b c d"], [["a b c d"]])
    assert ours("bleu", ["a b c d"], [("a b c d",)])[1] in str(scorer.get_signature())
    chrf = CHRF()
    chrf.corpus_score(["a"], [["a"]])
    assert ours("chrf", ["a"], [("a",)])[1] in str(chrf.get_signature())


@settings(deadline=None, max_examples=150)
@given(st.text(alphabet=characters, max_size=40) | st.text(alphabet="a1.,-&;qu ot\n“中、", max_size=30))
def test_tokenizers(text: str) -> None:
    for name, theirs in THEIRS.items():
        assert tokens(name, text) == theirs(text.rstrip()).split(), name


def test_every_character_is_set_apart_alike() -> None:
    theirs = TokenizerZh()
    for code in [*range(0x1FF0, 0x3400), *range(0x4DA0, 0x4E10), *range(0x9F90, 0xA000), *range(0xF8F0, 0x10000)]:
        text = f"a{chr(code)}b"
        assert tokens("zh", text) == theirs(text).split(), hex(code)
