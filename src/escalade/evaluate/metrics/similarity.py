"""Similarity of meaning: the tokens of answer and reference matched by the vectors that an encoder gives them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from escalade.evaluate.corpus import references_of
from escalade.evaluate.metric import Matrix, Setting, needed, ratio
from escalade.protocols import Prediction
from escalade.records import Record

_PORTION = 64
"""Items whose vectors are held at once."""


@dataclass(frozen=True)
class Encoded:
    """A text as an encoder reads it, special tokens left out."""

    ids: tuple[int, ...]
    vectors: NDArray[np.float32]
    """Shape (tokens, width), rows of unit length."""
    cut: bool
    """Whether it was longer than the encoder reads."""


class Encoder(Protocol):
    """What the metric needs."""

    mark: str
    """The first letters of the model's digest."""
    layer: int
    """Whose hidden states are taken; 0 is the embeddings."""

    def ids(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """The token ids of each text, uncut, special tokens left out."""
        ...

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """The token vectors of each text."""
        ...


class Similarity:
    """BERTScore (Zhang et al. 2020, section 3): greedy matching of token vectors by cosine.

    Each token of the reference is matched with the nearest of the answer (recall, eq. 1), and the other way round
    (precision, eq. 2); the value is their F1 (eq. 3). With ``idf=yes`` tokens weigh as they are rare among the
    references of this call, with plus-one smoothing (eq. 4), so that an item's value hangs on the others. Special
    tokens are left out. No baseline is subtracted. Of several references the one with the highest F1 counts; an empty
    answer has 0.

    Statistics: (precision, recall, F1, 1 where a text was cut to what the encoder reads, 1).
    """

    name = "similarity"
    low = 0.0
    high = 1.0

    def __init__(self, setting: Setting) -> None:
        self._helper, self._idf = setting.helper, setting.options.get("idf") == "yes"
        model, layer = setting.options.get("model", ""), setting.options.get("layer", "")
        if self._helper is not None:
            model, layer = self._helper.mark, str(self._helper.layer)
        self.signature = f"bertscore|model:{model}|layer:{layer}|idf:{'yes' if self._idf else 'no'}|baseline:no"

    def statistics(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> Matrix:
        """Shape (n, 5)."""
        encoder: Encoder = needed(self._helper, self.name)
        wanted = [references_of(record) for record in records]
        weights = _rarity(encoder.ids([text for texts in wanted for text in texts])) if self._idf else None
        rows: list[tuple[float, ...]] = []
        for start in range(0, len(records), _PORTION):
            answers = [prediction.text or "" for prediction in predictions[start : start + _PORTION]]
            some = wanted[start : start + _PORTION]
            texts = list(dict.fromkeys([*answers, *(text for texts in some for text in texts)]))
            known = dict(zip(texts, encoder.encode(texts), strict=True))
            for answer, references in zip(answers, some, strict=True):
                found = [_matched(known[answer], known[text], weights) for text in references]
                cut = any(known[text].cut for text in (answer, *references))
                rows.append((*max(found, key=lambda each: each[2]), float(cut), 1.0))
        return np.array(rows, dtype=np.float64)

    def value(self, sums: Matrix) -> Matrix:
        """Mean F1."""
        return ratio(sums[..., 2], sums[..., 4])

    def details(self, sums: Matrix) -> dict[str, float]:
        """Mean precision and recall, and the share of the items with a text that was cut."""
        count = max(float(sums[4]), 1.0)
        return {name: float(sums[i]) / count for i, name in ((0, "precision"), (1, "recall"), (3, "cut"))}


def _rarity(references: Sequence[Sequence[int]]) -> Mapping[int, float]:
    """Inverse document frequency over references; tokens in none of them weigh most."""
    count = len(references)
    seen = Counter(token for reference in references for token in set(reference))
    return _Weights({token: math.log((count + 1) / (times + 1)) for token, times in seen.items()}, math.log(count + 1))


class _Weights(dict[int, float]):
    """Weights of tokens, with one for those that are not there."""

    def __init__(self, known: Mapping[int, float], unseen: float) -> None:
        super().__init__(known)
        self._unseen = unseen

    def __missing__(self, token: int) -> float:
        return self._unseen


def _matched(answer: Encoded, reference: Encoded, weights: Mapping[int, float] | None) -> tuple[float, float, float]:
    """Precision, recall and F1 of one pair; a text without tokens matches only another one."""
    if not answer.ids or not reference.ids:
        same = float(not answer.ids and not reference.ids)
        return same, same, same
    cosines = answer.vectors.astype(np.float64) @ reference.vectors.astype(np.float64).T
    precision = _mean(cosines.max(axis=1), answer.ids, weights)
    recall = _mean(cosines.max(axis=0), reference.ids, weights)
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def _mean(nearest: NDArray[np.float64], ids: Sequence[int], weights: Mapping[int, float] | None) -> float:
    """Weighted mean of the nearest cosines, held to 0..1: where every token weighs nothing, all weigh the same."""
    said = np.array([weights[token] for token in ids]) if weights is not None else np.ones(len(ids))
    said = said if said.sum() > 0 else np.ones(len(ids))
    return float(np.clip(np.average(nearest, weights=said), 0.0, 1.0))
