"""ROUGE (Lin 2004): shared words, pairs, subsequences and stretches, equal to ``rouge_score`` for English.

Where that drops every letter that is not a-z, texts of other scripts are split as their script is written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import cast

import numpy as np

from escalade.evaluate.common import subsequences, substring, union
from escalade.evaluate.corpus import Coded, Corpus, Numbers, Splitting, corpus_of
from escalade.evaluate.grams import gram_counts, shared_grams
from escalade.evaluate.metric import Matrix, Setting, ratio
from escalade.evaluate.metrics.texts import style_in
from escalade.evaluate.script import Style, splitter
from escalade.evaluate.stem import stem
from escalade.protocols import Prediction
from escalade.records import Record

_MEASURES = ("f1", "precision", "recall")


class Rouge(ABC):
    """Base of the family. Statistics: F1, precision and recall of an item, and 1; 4 columns.

    Of several references the one with the best F1 counts. An empty answer scores 0.
    """

    name: str
    low = 0.0
    high = 1.0

    def __init__(self, setting: Setting) -> None:
        options = setting.options
        chosen = options.get("tok", "auto")
        self.style = style_in(setting) if chosen == "auto" else cast(Style, chosen)
        self.stems = options.get("stem") == "yes"
        self.measure = options.get("of", "f1")
        self.signature = f"{self.measure}|average:item|stem:{options.get('stem', 'no')}|tok:{self.style}|case:lower"
        self._shared = setting.corpus

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 4)."""
        corpus = corpus_of(self._shared, predictions, records)
        shared, found, wanted = (np.asarray(counts, dtype=np.float64) for counts in self._counts(corpus))
        precision, recall = shared / np.maximum(found, 1), shared / np.maximum(wanted, 1)
        f1 = ratio(2 * precision * recall, precision + recall)
        rows = np.column_stack([f1, precision, recall, np.ones(len(f1))])
        return rows[corpus.best(f1)]

    def value(self, sums: Matrix) -> Matrix:
        """Mean of the chosen measure over the items."""
        return ratio(sums[..., _MEASURES.index(self.measure)], sums[..., -1])

    def details(self, sums: Matrix) -> dict[str, float]:
        """Mean F1, precision and recall."""
        return {name: float(ratio(sums[at], sums[-1])) for at, name in enumerate(_MEASURES)}

    @abstractmethod
    def _counts(self, corpus: Corpus) -> tuple[Numbers, Numbers, Numbers]:
        """What each reference shares with its answer, what the answer has, and what the reference has."""

    def _split(self, corpus: Corpus) -> Coded:
        """Answers and references as words."""
        return corpus.split((self.style, self.stems), self._splitting)

    def _splitting(self) -> Splitting:
        """The way that texts become words."""
        return Splitting(splitter(self.style), fold=_stemmed if self.stems else None)


class _RougeN(Rouge):
    """Shared n-grams, each counted as often as both texts have it."""

    n: int

    def _counts(self, corpus: Corpus) -> tuple[Numbers, Numbers, Numbers]:
        answers, references = self._split(corpus).pairs()
        shared = shared_grams(answers, [references], (self.n,))[:, 0]
        return shared, gram_counts(answers, (self.n,))[:, 0], gram_counts(references, (self.n,))[:, 0]


class Rouge1(_RougeN):
    """Words shared with the reference."""

    name = "rouge1"
    n = 1


class Rouge2(_RougeN):
    """Pairs of words shared with the reference."""

    name = "rouge2"
    n = 2


class RougeL(Rouge):
    """Longest common subsequence of words (Lin 2004, section 3.1): in order, but not side by side."""

    name = "rougeL"

    def _counts(self, corpus: Corpus) -> tuple[Numbers, Numbers, Numbers]:
        answers, references = self._split(corpus).pairs()
        return np.array(subsequences(answers, references)), answers.lengths, references.lengths


class RougeLSubstring(Rouge):
    """Longest common stretch of words, side by side in both: a stricter reading of "longest common".

    "It is very cold outside." against "It is cold outside." has the subsequence "it is cold outside", F1 0.889, and
    the stretch "it is" or "cold outside", F1 0.444. Lin's ROUGE-L is the former.
    """

    name = "rougeL_substring"

    def _counts(self, corpus: Corpus) -> tuple[Numbers, Numbers, Numbers]:
        answers, references = self._split(corpus).pairs()
        shared = [substring(one, two) for one, two in zip(answers.rows(), references.rows(), strict=True)]
        return np.array(shared), answers.lengths, references.lengths


class RougeLSum(Rouge):
    """Longest common subsequences sentence by sentence, their union counted (Lin 2004, section 3.2).

    A line is a sentence; where both texts have one line it equals ROUGE-L.
    """

    name = "rougeLsum"

    def _counts(self, corpus: Corpus) -> tuple[Numbers, Numbers, Numbers]:
        answers, references = self._split(corpus).pairs()
        shared = np.array(subsequences(answers, references), dtype=np.int64)
        several = [
            at
            for at, (item, reference) in enumerate(zip(corpus.owner.tolist(), corpus.references, strict=True))
            if "\n" in reference or "\n" in corpus.answers[item]
        ]
        splitting = self._splitting()
        mine = _sentences([corpus.answers[corpus.owner[at]] for at in several], splitting)
        theirs = _sentences([corpus.references[at] for at in several], splitting)
        shared[several] = [union(answer, reference) for answer, reference in zip(mine, theirs, strict=True)]
        return shared, answers.lengths, references.lengths


def _sentences(texts: Sequence[str], splitting: Splitting) -> Iterator[list[list[int]]]:
    """The lines of each text, as the numbers of their words."""
    lines = [text.split("\n") for text in texts]
    rows = iter(splitting.coded([line for each in lines for line in each]).rows())
    return (list(islice(rows, len(each))) for each in lines)


def _stemmed(word: str) -> str:
    """The stem of a word of more than three letters."""
    return stem(word) if len(word) > 3 else word
