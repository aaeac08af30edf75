"""ROUGE, BLEU and chrF beside rouge_score and sacrebleu: how much faster, and whether the numbers agree.

The texts are docstrings of the interpreter's own library, the answers perturbed with a fixed seed. Each way starts
with nothing remembered, as in a new process.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.metrics.base import Metric
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp
from sacrebleu.tokenizers.tokenizer_ter import TercomTokenizer

from common import Row, at_least, at_most, main, ratio
from escalade.evaluate.corpus import Corpus
from escalade.evaluate.metric import Statistics, statistics_of
from escalade.protocols import Prediction
from escalade.records import Question
from escalade.values import Facts

ROUGE = ("rouge1", "rouge2", "rougeL")
FACTS = Facts(kind="generation", language="en")
WORDS = 40
SAME = 1e-9


def rows(quick: bool) -> list[Row]:
    answers, references = pairs(10_000)
    repeats = 2 if quick else 5
    found = rouge_rows(answers, references, repeats)
    for name, theirs, goal in (("bleu", BLEU, 3), ("chrf", CHRF, 3), ("chrf++", lambda: CHRF(word_order=2), 3)):
        found += sacrebleu_rows(name, theirs, goal, answers, references, repeats)
    few = 200 if quick else 1_000
    return found + sacrebleu_rows("ter", TER, 1, answers[:few], references[:few], repeats)


def rouge_rows(answers: Sequence[str], references: Sequence[str], repeats: int) -> list[Row]:
    scorer = RougeScorer(list(ROUGE), use_stemmer=True)
    theirs = np.zeros((len(answers), len(ROUGE), 3))

    def slow() -> None:
        # Kept as numbers: ten thousand dictionaries left lying about would slow down whatever is timed next.
        for row, (said, wanted) in enumerate(zip(answers, references, strict=True)):
            scores = scorer.score(wanted, said)
            theirs[row] = [scores[name] for name in ROUGE]

    ours: list[Statistics] = []

    def fast() -> None:
        ours[:] = scored([f"{name}:stem=yes" for name in ROUGE], answers, references)

    timed = ratio(slow, fast, repeats)
    gap = max(float(np.abs(found.rows[:, [1, 2, 0]] - theirs[:, column]).max()) for column, found in enumerate(ours))
    values = ", ".join(f"{name} {found.value:.4f}" for name, found in zip(ROUGE, ours, strict=True))
    return [
        at_least("ROUGE-1, 2, L stemmed, times faster than rouge_score", timed.value, 10, f"{timed}; aim 20"),
        at_most("ROUGE-1, 2, L stemmed, largest difference of a row", gap, SAME, values),
    ]


def sacrebleu_rows(
    name: str,
    theirs: Callable[[], Metric],
    goal: float,
    answers: Sequence[str],
    references: Sequence[str],
    repeats: int,
) -> list[Row]:
    wanted = found = 0.0

    def slow() -> None:
        nonlocal wanted
        for tokenizer in (Tokenizer13a, TokenizerRegexp, TercomTokenizer):
            tokenizer.__call__.cache_clear()
        wanted = theirs().corpus_score(answers, [references]).score

    def fast() -> None:
        nonlocal found
        found = scored([name], answers, references)[0].value

    timed = ratio(slow, fast, repeats)
    return [
        at_least(f"{name}, times faster than sacrebleu", timed.value, goal, str(timed)),
        at_most(f"{name}, difference", abs(found - wanted), SAME, f"{found:.6f} and {wanted:.6f}"),
    ]


def scored(names: Sequence[str], answers: Sequence[str], references: Sequence[str]) -> list[Statistics]:
    """Our metrics, from plain texts on."""
    predictions = [Prediction(text=text) for text in answers]
    records = [Question(str(row), "", "", (text,)) for row, text in enumerate(references)]
    corpus = Corpus(predictions, records)
    return [statistics_of(name, predictions, records, FACTS, corpus=corpus) for name in names]


def pairs(number: int) -> tuple[list[str], list[str]]:
    """Answers and references: some words of each answer are dropped, replaced, or in another order."""
    rng, text = random.Random(0), docstrings()
    answers, references = [], []
    for _ in range(number):
        start, size = rng.randrange(len(text) - 2 * WORDS), rng.randrange(WORDS - 10, WORDS + 11)
        reference = text[start : start + size]
        answer = [rng.choice(text) if rng.random() < 0.15 else word for word in reference if rng.random() > 0.1]
        cut = rng.randrange(len(answer))
        answers.append(" ".join(answer[cut:] + answer[:cut] if rng.random() < 0.3 else answer))
        references.append(" ".join(reference))
    return answers, references


def docstrings() -> list[str]:
    """Words of the standard library's documentation, in the order of files and lines."""
    found: list[str] = []
    for path in sorted(Path(ast.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8", errors="replace"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                found += (ast.get_docstring(node) or "").split()
    return found


if __name__ == "__main__":
    main(rows, "ROUGE, BLEU, chrF and TER beside rouge_score and sacrebleu.")
