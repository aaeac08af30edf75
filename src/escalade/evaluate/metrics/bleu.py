"""Corpus BLEU (Papineni et al. 2002) as sacrebleu computes it (Post 2018), with exponential smoothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from operator import or_

import numpy as np

from escalade.evaluate.metric import Matrix, Setting, ratio, references_of
from escalade.evaluate.script import is_chinese, style_of
from escalade.protocols import Prediction
from escalade.records import Record

_ORDERS = 4
_Grams = Counter[tuple[str, ...]]


class Bleu:
    """Statistics: length, reference length, matches and n-grams of each order; 10 columns.

    The script of the references chooses the tokenizer: ``zh`` for Chinese, ``char`` for other scripts without blanks,
    ``13a`` for all others. Of several references the length nearest to the answer's counts.
    """

    name = "bleu"
    low = 0.0
    high = 100.0

    def __init__(self, setting: Setting) -> None:
        tokenizer = tokenizer_of(
            [text for record in setting.records for text in references_of(record)], setting.facts.language
        )
        self._tokens = _TOKENIZERS[tokenizer]
        self.signature = f"case:mixed|eff:no|tok:{tokenizer}|smooth:exp"

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 10)."""
        rows = []
        for prediction, record in zip(predictions, records, strict=True):
            rows.append(self._row(prediction.text or "", references_of(record)))
        return np.array(rows, dtype=np.float64).reshape(-1, 2 + 2 * _ORDERS)

    def value(self, sums: Matrix) -> Matrix:
        """Geometric mean of the precisions with the brevity penalty, 0 to 100."""
        length, wanted = sums[..., 0], sums[..., 1]
        matches, grams = sums[..., 2 : 2 + _ORDERS], sums[..., 2 + _ORDERS :]
        # An order without a match gets 1 / 2^k of one, k counting such orders from the lowest.
        empty = np.cumsum(matches == 0, axis=-1)
        precisions = ratio(np.where(matches == 0, 0.5**empty, matches), grams)
        scored = (grams > 0).all(-1) & (matches > 0).any(-1)
        mean = np.exp(np.log(np.where(np.expand_dims(scored, -1), precisions, 1.0)).mean(-1))
        brevity = np.exp(np.minimum(0.0, 1 - ratio(wanted, length)))
        return np.where(scored, 100 * brevity * mean, 0.0)

    def _row(self, answer: str, references: tuple[str, ...]) -> list[int]:
        tokens = self._tokens(answer)
        theirs = [self._tokens(reference) for reference in references]
        wanted = reduce(or_, map(_grams, theirs))
        matches, total = [0] * _ORDERS, [0] * _ORDERS
        for gram, count in _grams(tokens).items():
            total[len(gram) - 1] += count
            matches[len(gram) - 1] += min(count, wanted.get(gram, 0))
        nearest = min(map(len, theirs), key=lambda length: (abs(length - len(tokens)), length))
        return [len(tokens), nearest, *matches, *total]


def tokenizer_of(references: list[str], language: str | None = None) -> str:
    """Which of sacrebleu's tokenizers fits the script of the references: ``13a``, ``zh`` or ``char``."""
    if style_of(references, language) != "characters":
        return "13a"
    return "zh" if is_chinese(references) else "char"


def _grams(tokens: Sequence[str]) -> _Grams:
    found: _Grams = Counter()
    for n in range(1, _ORDERS + 1):
        found.update(zip(*(tokens[i:] for i in range(n)), strict=False))
    return found


# -- tokenizers, after mteval-v13a and sacrebleu ----------------------------------------------------------------------

_SIGNS = re.compile(r"([ -&(-+/:-@\[-`{-~])")
"""ASCII signs and the blank; not the apostrophe, comma, hyphen and full stop."""
_AFTER_NON_DIGIT = re.compile(r"([^0-9])([.,])")
_BEFORE_NON_DIGIT = re.compile(r"([.,])([^0-9])")
_DIGIT_HYPHEN = re.compile(r"([0-9])(-)")
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))


def _western(line: str) -> list[str]:
    line = _SIGNS.sub(r" \1 ", line)
    line = _AFTER_NON_DIGIT.sub(r"\1 \2 ", line)
    line = _BEFORE_NON_DIGIT.sub(r" \1 \2", line)
    return _DIGIT_HYPHEN.sub(r"\1 \2 ", line).split()


def _tokens_13a(text: str) -> list[str]:
    line = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, sign in _ENTITIES:
        line = line.replace(entity, sign)
    return _western(f" {line} ")


def _tokens_zh(text: str) -> list[str]:
    return _western(_CHINESE.sub(r" \g<0> ", text.strip()))


def _tokens_char(text: str) -> list[str]:
    return " ".join(text.rstrip()).split()


_TOKENIZERS: dict[str, Callable[[str], list[str]]] = {"13a": _tokens_13a, "zh": _tokens_zh, "char": _tokens_char}


def _class_of(ranges: Iterable[tuple[int, int]]) -> re.Pattern[str]:
    return re.compile("[" + "".join(f"{chr(low)}-{chr(high)}" for low, high in ranges) + "]")


_CHINESE = _class_of(
    (
        (0x2001, 0x2A6D),  # sacrebleu means the later extensions (20000 to 2A6D6) here, and takes these: "“…”", arrows
        (0x2E80, 0x2FDF),  # radicals
        (0x2FF0, 0x303F),  # structure signs, punctuation
        (0x3100, 0x312F),  # Bopomofo
        (0x31A0, 0x31BF),
        (0x31C0, 0x31EF),  # strokes
        (0x3200, 0x4DB5),  # enclosed signs, units, extension A
        (0x4E00, 0x9FBB),
        (0xF900, 0xFA2D),
        (0xFA30, 0xFA6A),
        (0xFA70, 0xFAD9),
        (0xFE10, 0xFE1F),
        (0xFE30, 0xFE4F),
        (0xFF00, 0xFFEF),  # full-width and half-width forms
    )
)
"""The characters sacrebleu 2 sets apart."""
