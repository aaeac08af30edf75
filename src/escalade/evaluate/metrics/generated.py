"""What answers are like whatever they should say: varied, repetitive, long, copied from the input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np

from escalade.errors import BadInput
from escalade.evaluate.corpus import Coded, Corpus, Splitting, corpus_of
from escalade.evaluate.metric import Matrix, Ratio, Setting
from escalade.evaluate.metrics.texts import style_in
from escalade.evaluate.script import splitter
from escalade.protocols import Prediction
from escalade.records import Record, input_text

_Gram = tuple[int, ...]


class _Words(Ratio):
    """Base: answers as words, split by the script of the references."""

    name: str
    describes: str

    def __init__(self, setting: Setting) -> None:
        self._style = style_in(setting)
        self.signature = f"{self.describes}|tok:{self._style}|case:lower"
        self._shared = setting.corpus

    def _split(self, corpus: Corpus) -> Coded:
        return corpus.split((self._style, False), lambda: Splitting(splitter(self._style)))


class _Distinct(_Words):
    """Different n-grams of all answers per n-gram (Li et al. 2016).

    Statistics: (the item's part of the different ones, its n-grams). An n-gram that occurs k times is one different
    n-gram, and each occurrence has 1/k of it; so the sums over all items give the published number. Rows hang on the
    other answers: the number of a part of the items is not that of their sums.
    """

    n: int

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 2)."""
        grams = [
            _grams(row, self.n) for row in self._split(corpus_of(self._shared, predictions, records)).answers.rows()
        ]
        times = Counter(chain.from_iterable(grams))
        return _matrix([(sum(1 / times[gram] for gram in each), len(each)) for each in grams])


class Distinct1(_Distinct):
    """Different words per word."""

    name = "distinct1"
    describes = "distinct|n:1|over:corpus"
    n = 1


class Distinct2(_Distinct):
    """Different pairs of words per pair."""

    name = "distinct2"
    describes = "distinct|n:2|over:corpus"
    n = 2


class Repetition(_Words):
    """Share of n-grams that the same answer has had before (Welleck et al. 2020, seq-rep-n).

    Statistics: (repeated n-grams, n-grams).
    """

    name = "repetition"

    def __init__(self, setting: Setting) -> None:
        self._n = int(setting.options.get("n", "4"))
        self.describes = f"repeated|n:{self._n}|within:answer"
        super().__init__(setting)

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 2)."""
        rows = self._split(corpus_of(self._shared, predictions, records)).answers.rows()
        grams = [_grams(row, self._n) for row in rows]
        return _matrix([(len(each) - len(set(each)), len(each)) for each in grams])


class LengthRatio(_Words):
    """Words of the answers per word of the references; 1 is as long.

    Statistics: (words of the answer, words of the reference). Of several references the one nearest in length counts.
    """

    name = "length_ratio"
    describes = "length|words"
    high = 2.0
    """Where answers are longer still, intervals end at the longest."""

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 2)."""
        corpus = corpus_of(self._shared, predictions, records)
        words = self._split(corpus)
        found, wanted = words.answers.lengths, words.references.lengths
        nearest = corpus.best(-np.abs(wanted - found[corpus.owner]).astype(np.float64))
        return np.column_stack([found, wanted[nearest]]).astype(np.float64)


class CopyRate(_Words):
    """Share of the answers' n-grams that stand in the record's input (the rest are new: See et al. 2017).

    Statistics: (n-grams found in the input, n-grams).
    """

    name = "copy_rate"

    def __init__(self, setting: Setting) -> None:
        self._n = int(setting.options.get("n", "4"))
        self.describes = f"copied|n:{self._n}"
        super().__init__(setting)

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 2).

        Raises:
            BadInput: No record has an input.
        """
        inputs = [input_text(record) for record in records]
        if not any(map(str.strip, inputs)):
            raise BadInput("evaluate.no_input", place=self.name, name=self.name)
        splitting = Splitting(splitter(self._style))
        given = splitting.coded(inputs).rows()
        found = splitting.coded([prediction.text or "" for prediction in predictions]).rows()
        rows = []
        for row, source in zip(found, given, strict=True):
            grams, there = _grams(row, self._n), set(_grams(source, self._n))
            rows.append((sum(gram in there for gram in grams), len(grams)))
        return _matrix(rows)


def _grams(row: Sequence[int], n: int) -> list[_Gram]:
    return list(zip(*(row[start:] for start in range(n)), strict=False))


def _matrix(rows: Sequence[tuple[float, float]]) -> Matrix:
    return np.array(rows, dtype=np.float64).reshape(-1, 2)
