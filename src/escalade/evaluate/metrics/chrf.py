"""chrF and chrF++ (Popović 2015, 2017) as sacrebleu computes them: n-grams of letters, no blanks, recall doubled."""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np

from escalade.evaluate.corpus import Coded, Corpus, Numbers, Splitting, corpus_of, references_of
from escalade.evaluate.grams import gram_counts, shared_grams
from escalade.evaluate.metric import Matrix, Setting, ratio
from escalade.evaluate.metrics.bleu import number_of_references
from escalade.protocols import Prediction
from escalade.records import Record

_LETTERS = (1, 2, 3, 4, 5, 6)
_FACTOR = 4.0
"""Beta squared."""


class ChrF:
    """Statistics: n-grams of the answer, of the reference, and shared, of each order; 18 columns.

    Of several references the one with the best score counts.
    """

    name = "chrf"
    low = 0.0
    high = 100.0
    words: tuple[int, ...] = ()
    """Orders of the word n-grams that are counted too."""

    def __init__(self, setting: Setting) -> None:
        number = number_of_references([references_of(record) for record in setting.records])
        self.signature = f"nrefs:{number}|case:mixed|eff:yes|nc:{len(_LETTERS)}|nw:{len(self.words)}|space:no"
        self._shared = setting.corpus

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 3 (6 + word orders))."""
        corpus = corpus_of(self._shared, predictions, records)
        kinds = [_compared(corpus.letters(), _LETTERS)]
        if self.words:
            kinds.append(_compared(_words(corpus), self.words))
        found, wanted, shared = (np.hstack(counts) for counts in zip(*kinds, strict=True))
        # An order that the reference is too short for is not held against the answer.
        rows = np.hstack([np.where(wanted > 0, found, 0), wanted, shared]).astype(np.float64)
        return rows[corpus.best(self.value(rows))]

    def value(self, sums: Matrix) -> Matrix:
        """F2 of precision and recall averaged over the orders that both sides have, 0 to 100."""
        precision, recall = self._averages(sums)
        above = (1 + _FACTOR) * precision * recall
        return 100 * ratio(above, _FACTOR * precision + recall)

    def details(self, sums: Matrix) -> dict[str, float]:
        """Precision and recall averaged over the orders, 0 to 100."""
        precision, recall = self._averages(sums)
        return {"precision": 100 * float(precision), "recall": 100 * float(recall)}

    def _averages(self, sums: Matrix) -> tuple[Matrix, Matrix]:
        found, wanted, shared = np.split(sums, 3, axis=-1)
        both = (found > 0) & (wanted > 0)
        precision = recall = np.zeros(sums.shape[:-1])
        # Added one order after the other: which of two equally good references is taken must not hang on rounding.
        for order in range(both.shape[-1]):
            there = both[..., order]
            precision = precision + np.where(there, ratio(shared[..., order], found[..., order]), 0.0)
            recall = recall + np.where(there, ratio(shared[..., order], wanted[..., order]), 0.0)
        orders = both.sum(-1).astype(np.float64)
        return ratio(precision, orders), ratio(recall, orders)


class ChrFPlusPlus(ChrF):
    """The same with words and pairs of words beside the letters; 24 columns."""

    name = "chrf++"
    words = (1, 2)


def _compared(texts: Coded, orders: tuple[int, ...]) -> tuple[Numbers, Numbers, Numbers]:
    """n-grams of each reference's answer, of the reference, and shared; each of shape (references, orders)."""
    answers, references = texts.pairs()
    return gram_counts(answers, orders), gram_counts(references, orders), shared_grams(answers, [references], orders)


def _words(corpus: Corpus) -> Coded:
    return corpus.split("chrf++", lambda: Splitting(_unsigned))


_SIGNS = frozenset(string.punctuation)


def _unsigned(word: str) -> list[str]:
    """A sign at a word's end is a word of its own; at its beginning only where none is at its end (Popović 2017)."""
    if len(word) > 1 and word[-1] in _SIGNS:
        return [word[:-1], word[-1]]
    if len(word) > 1 and word[0] in _SIGNS:
        return [word[0], word[1:]]
    return [word]
