"""BLEU and chrF beside sacrebleu: corpus values, tokenizers, several references."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_words import pairs
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.metrics.base import Metric
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_char import TokenizerChar
from sacrebleu.tokenizers.tokenizer_intl import TokenizerV14International
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

from escalade.evaluate.bleu_tokens import splitting, tokens
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
THEIRS = {"13a": Tokenizer13a(), "zh": TokenizerZh(), "char": TokenizerChar(), "intl": TokenizerV14International()}
characters = st.characters(codec="utf-8", exclude_categories=("Cn",))


def ours(name: str, answers: list[str], references: list[tuple[str, ...]]) -> tuple[float, str]:
    records = [Question(str(i), "", "", given) for i, given in enumerate(references)]
    metric = load_metric(name, FACTS, records)
    rows = metric.statistics([Prediction(text=text) for text in answers], records)
    return float(metric.value(rows.sum(0))), metric.signature


def same(name: str, theirs: Metric, answers: list[str], references: list[tuple[str, ...]]) -> None:
    value, signature = ours(name, answers, references)
    wanted = theirs.corpus_score(answers, columns(references)).score
    assert value == pytest.approx(wanted, abs=1e-9), (name, answers, references)
    assert str(theirs.get_signature()).startswith(signature), name


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


@pytest.mark.parametrize("smooth", ["exp", "floor", "floor:value=0.3", "add-k", "add-k:value=2.5", "none"])
@pytest.mark.parametrize("effective", ["no", "yes"])
def test_every_option(smooth: str, effective: str) -> None:
    method, _, value = smooth.partition(":value=")
    rng = random.Random(7)
    for tokenizer in ("13a", "intl", "char", "zh", "none"):
        scorer = BLEU(
            tokenize=tokenizer,
            smooth_method=method,
            smooth_value=float(value) if value else None,
            effective_order=effective == "yes",
        )
        name = f"bleu:tok={tokenizer}:smooth={smooth}:effective={effective}"
        for rows, refs in ((1, 1), (1, 2), (3, 1), (20, 3)):
            for style in WORDS:
                same(name, scorer, *corpus(style, rng, rows, refs))


@pytest.mark.parametrize("refs", [1, 2, 4])
def test_chrf_and_ter_in_every_form(refs: int) -> None:
    rng = random.Random(refs)
    for style in WORDS:
        for rows in (1, 3, 20):
            answers, references = corpus(style, rng, rows, refs)
            same("chrf", CHRF(), answers, references)
            same("chrf++", CHRF(word_order=2), answers, references)
            same("ter:tok=tercom", TER(), answers, references)


def test_sentence_bleu_is_the_mean_of_theirs() -> None:
    answers, references = corpus("13a", random.Random(3), 40, 2)
    scorer = BLEU(effective_order=True)
    wanted = sum(scorer.sentence_score(a, given).score for a, given in zip(answers, references, strict=True)) / 40
    assert ours("sentence_bleu", answers, references)[0] == pytest.approx(wanted, abs=1e-9)


def test_real_words() -> None:
    made = pairs(80)
    answers, references = [answer for answer, _ in made], [(reference,) for _, reference in made]
    for name, theirs in (("bleu", BLEU()), ("chrf", CHRF()), ("chrf++", CHRF(word_order=2))):
        same(name, theirs, answers, references)
    same("bleu:tok=intl", BLEU(tokenize="intl"), answers, references)


def test_edits_that_move() -> None:
    """Words drawn from few, so that many moves compete; long ones, so that the limits are met."""
    rng = random.Random(0)
    for size, rows in ((6, 300), (14, 60), (40, 3)):
        answers, references = [], []
        for _ in range(rows):
            reference = [rng.choice("abcdefgh") for _ in range(rng.randrange(1, size))]
            answer = list(reference)
            for _ in range(rng.randrange(5)):
                cut, at = sorted((rng.randrange(len(answer) + 1), rng.randrange(len(answer) + 1)))
                answer = answer[cut:at] + answer[:cut] + [rng.choice("abz")] + answer[at:]
            answers.append(" ".join(answer))
            references.append((" ".join(reference),))
        for one in zip(answers, references, strict=True):
            same("ter", TER(), [one[0]], [one[1]])
        same("ter", TER(), answers, references)


@pytest.mark.slow
def test_edits_of_long_texts() -> None:
    rng = random.Random(5)
    for _ in range(4):
        reference = [rng.choice("abcdefghijklmnopqrstuvw") for _ in range(rng.randrange(30, 110))]
        answer = [word for word in reference if rng.random() < 0.6][: rng.randrange(5, 110)]
        at = rng.randrange(len(answer))
        same("ter", TER(), [" ".join(answer[at:] + answer[:at])], [(" ".join(reference),)])


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.text(alphabet=characters, max_size=30) | st.text(alphabet="ab.1 -&", max_size=30),
            st.text(alphabet=characters, max_size=30) | st.text(alphabet="ab.1 -&", max_size=30),
            st.text(alphabet="ab ,.\n中", max_size=9),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_texts(rows: list[tuple[str, str, str]]) -> None:
    answers, references = [row[0] for row in rows], [row[1:] for row in rows]
    same("bleu:tok=13a", BLEU(), answers, references)
    same("bleu:tok=zh", BLEU(tokenize="zh"), answers, references)
    same("chrf", CHRF(), answers, references)
    same("chrf++", CHRF(word_order=2), answers, references)
    same("ter:tok=tercom", TER(), answers, references)


@settings(deadline=None, max_examples=150)
@given(st.text(alphabet=characters, max_size=40) | st.text(alphabet="a1.,-&;qu ot\n“中、", max_size=30))
def test_tokenizers(text: str) -> None:
    for name, theirs in THEIRS.items():
        wanted = theirs(text.rstrip()).split()
        assert tokens(name, text) == wanted, name
        # The fast way, stretch by stretch, numbers the same words in the order in which they appear.
        number: dict[str, int] = {}
        assert splitting(name).coded([text]).rows() == [[number.setdefault(word, len(number)) for word in wanted]]


def test_every_character_is_set_apart_alike() -> None:
    theirs = TokenizerZh()
    for code in [*range(0x1FF0, 0x3400), *range(0x4DA0, 0x4E10), *range(0x9F90, 0xA000), *range(0xF8F0, 0x10000)]:
        text = f"a{chr(code)}b"
        assert tokens("zh", text) == theirs(text).split(), hex(code)
