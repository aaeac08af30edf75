"""ROUGE-1, ROUGE-2 and ROUGE-L as F1, no stemming (Lin 2004), equal to ``rouge_score`` for English."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rapidfuzz.distance import LCSseq

from escalade.evaluate.metrics.texts import MeanOverItems


class _RougeN(MeanOverItems):
    """Shared n-grams, each counted as often as both texts have it."""

    n: int

    def similarity(self, answer: str, reference: str) -> float:
        """F1 of the n-grams."""
        found, wanted = self._grams(answer), self._grams(reference)
        shared = sum(min(count, wanted[gram]) for gram, count in found.items() if gram in wanted)
        return f1(shared, found.total(), wanted.total())

    def _grams(self, text: str) -> Counter[tuple[str, ...]]:
        words = self.words(text)
        return Counter(zip(*(words[i:] for i in range(self.n)), strict=False))


class Rouge1(_RougeN):
    """Words shared with the reference."""

    name = "rouge1"
    describes = "f1|average:item|stem:no"
    n = 1


class Rouge2(_RougeN):
    """Pairs of words shared with the reference."""

    name = "rouge2"
    describes = "f1|average:item|stem:no"
    n = 2


class RougeL(MeanOverItems):
    """Longest common subsequence of words (Lin 2004, section 3.1)."""

    name = "rougeL"
    describes = "f1|average:item|stem:no"

    def similarity(self, answer: str, reference: str) -> float:
        """F1 of the subsequence's length."""
        found, wanted = self.words(answer), self.words(reference)
        return f1(common_subsequence(found, wanted), len(found), len(wanted))


def common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    number: dict[str, int] = {}
    one, two = ([number.setdefault(word, len(number)) for word in words] for words in (first, second))
    return int(LCSseq.similarity(one, two))


def f1(shared: int, found: int, wanted: int) -> float:
    """Harmonic mean of ``shared / found`` and ``shared / wanted``; 0 where nothing is shared."""
    return 2 * shared / (found + wanted) if shared else 0.0
