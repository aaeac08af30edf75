"""METEOR (Banerjee & Lavie 2005) with its first two stages, equal words and equal stems; no synonyms.

Weights as in Denkowski & Lavie's first versions and in the common toolkit: alpha 0.9, beta 3, gamma 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from escalade.evaluate.corpus import Coded, Splitting, corpus_of
from escalade.evaluate.metric import Matrix, Ratio, Setting, means
from escalade.evaluate.metrics.texts import style_in
from escalade.evaluate.script import splitter
from escalade.evaluate.stem import stem
from escalade.protocols import Prediction
from escalade.records import Record

_ALPHA, _BETA, _GAMMA = 0.9, 3.0, 0.5


class Meteor(Ratio):
    """Harmonic mean of precision and recall, recall weighted nine times, less a penalty for words in another order.

    Statistics: (score, 1). Of several references the best counts. Even an equal text has one chunk, and so scores
    1 - 0.5 / words^3.
    """

    name = "meteor"

    def __init__(self, setting: Setting) -> None:
        self._style = style_in(setting)
        self.signature = f"stages:exact+stem|alpha:0.9|beta:3|gamma:0.5|average:item|tok:{self._style}|case:lower"
        self._shared = setting.corpus

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 2)."""
        corpus = corpus_of(self._shared, predictions, records)
        # The same keys as ROUGE's, whose words these are; stems are others, for ROUGE leaves short words alone.
        plain = _rows(corpus.split((self._style, False), lambda: Splitting(splitter(self._style))))
        stems = _rows(corpus.split(("meteor", self._style), lambda: Splitting(splitter(self._style), fold=stem)))
        scores = np.array([score(*each) for each in zip(*plain, *stems, strict=True)], dtype=np.float64)
        return means(scores[corpus.best(scores)].tolist())


def score(answer: Sequence[int], reference: Sequence[int], stems: Sequence[int], other_stems: Sequence[int]) -> float:
    """METEOR of one pair, 0 to 1.

    Args:
        answer: Its words, as numbers.
        reference: The same.
        stems: The stem of each word of the answer.
        other_stems: The stem of each word of the reference.
    """
    found = dict(_matched(answer, reference, range(len(answer)), range(len(reference))))
    taken = set(found.values())
    left = [i for i in range(len(answer)) if i not in found]
    found |= _matched(stems, other_stems, left, [j for j in range(len(reference)) if j not in taken])
    if not found:
        return 0.0
    precision, recall = len(found) / len(answer), len(found) / len(reference)
    mean = precision * recall / (_ALPHA * precision + (1 - _ALPHA) * recall)
    chunks = sum(found.get(i - 1) != j - 1 for i, j in found.items())
    return (1 - _GAMMA * (chunks / len(found)) ** _BETA) * mean


def _matched(
    answer: Sequence[int], reference: Sequence[int], left: Sequence[int], other_left: Sequence[int]
) -> dict[int, int]:
    """Positions of equal words, from the end backwards, each with the last one that is still free."""
    places: dict[int, list[int]] = {}
    for j in other_left:
        places.setdefault(reference[j], []).append(j)
    return {i: places[answer[i]].pop() for i in reversed(left) if places.get(answer[i])}


def _rows(texts: Coded) -> tuple[list[list[int]], list[list[int]]]:
    answers, references = texts.pairs()
    return answers.rows(), references.rows()
