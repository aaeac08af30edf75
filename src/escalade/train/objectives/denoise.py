"""Denoising: a text is spoilt, and written out whole (Lewis et al. 2020, BART, section 2.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from escalade.errors import BadInput
from escalade.protocols import Batch, Row
from escalade.records import Record, input_text
from escalade.train.objectives.token import Restoring, check_positive, check_share
from escalade.train.objectives.words import OUTSIDE, SENTENCE, WORD, Words, encode_sentences, roles_of

NOISES = ("permute", "infill", "mask", "delete", "rotate")
RATE = 0.3
MEAN_SPAN = 3.0
Spoilt = tuple[np.ndarray, np.ndarray]
"""Ids and their roles."""


class Denoise(Restoring):
    """The source is spoilt by one noise after another, in the order given; the target is the whole text.

    * ``permute``: the sentences in random order.
    * ``infill``: spans of words, ceil(rate x words) words in all, are replaced by one mask token each. Lengths are
      drawn from a Poisson distribution until they reach that budget, and the last one is trimmed to it; a span of
      length 0 is a mask put in between. Every order of spans and words that are left is as likely as any other, so
      spans never overlap, and exactly the budget is hidden; in the authors' code they may, and less is. Spans of
      length 0 are left out where the source would not fit into the context with them.
    * ``mask``: ceil(rate x tokens) tokens are each replaced by the mask token.
    * ``delete``: as many are taken away.
    * ``rotate``: the text begins with a random one of its tokens, and goes on at its beginning.

    The target is the text and the end token, without the beginning token that published BART repeats: what is written
    is framed as ``encode_completion`` frames any answer.

    Args:
        tokenizer: The model's tokenizer.
        context: Longest source and target in tokens.
        noises: Which, in order.
        rate: Share of words (infill) or of tokens (mask, delete) that is hidden.
        mean_span: Mean of the Poisson distribution, in words.

    Raises:
        BadInput: The tokenizer has no mask token, the context is too small, or the options make no sense.
    """

    def __init__(
        self,
        tokenizer: Any,
        context: int,
        noises: Sequence[str] = ("permute", "infill"),
        rate: float = RATE,
        mean_span: float = MEAN_SPAN,
    ) -> None:
        super().__init__(tokenizer, context)
        unknown = [noise for noise in noises if noise not in NOISES]
        if unknown or not noises:
            raise BadInput("train.not_a_noise", place="noises", given=", ".join(unknown), known=", ".join(NOISES))
        check_share("rate", rate)
        check_positive("mean_span", mean_span)
        self.noises, self.rate, self.mean_span = tuple(noises), rate, mean_span
        self._words = Words(tokenizer)

    def encode(self, record: Record) -> Row | None:
        """The text's ids, without special tokens; roles say where words and sentences begin (see ``words``)."""
        ids, firsts = encode_sentences(self.tokenizer, input_text(record))
        if len(ids) > self.room:
            self.cut.append(record.id)
            ids = ids[: self.room]
        if len(ids) < 2:
            return None
        roles = roles_of(self._words.begins(ids), [first for first in firsts if first < len(ids)])
        return Row(record.id, tuple(ids), roles=tuple(roles.tolist()), target=(*ids, *self.end))

    def collate(self, rows: Sequence[Row], seeds: Sequence[int]) -> Batch:
        """Sources spoilt as a row's own seed decides, and the whole texts."""
        sources = [self.framed(self.spoil(row, seed)) for row, seed in zip(rows, seeds, strict=True)]
        return self.paired(sources, [row.target for row in rows])

    def spoil(self, row: Row, seed: int) -> np.ndarray:
        """The source of one row, without the special tokens around it."""
        draw = np.random.default_rng(seed)
        spoilt = np.array(row.ids, dtype=np.int64), np.array(row.roles, dtype=np.int64)
        for noise in self.noises:
            match noise:
                case "permute":
                    spoilt = permuted(*spoilt, draw)
                case "infill":
                    spoilt = self._infilled(*spoilt, draw)
                case "mask":
                    spoilt = self._masked(*spoilt, draw)
                case "delete":
                    spoilt = self._deleted(*spoilt, draw)
                case _:
                    spoilt = rotated(*spoilt, draw)
        return spoilt[0]

    def _infilled(self, ids: np.ndarray, roles: np.ndarray, draw: np.random.Generator) -> Spoilt:
        starts = np.flatnonzero((roles >= WORD) | (np.arange(len(roles)) == 0))
        words = len(starts)
        budget = math.ceil(self.rate * words)
        lengths = span_lengths(budget, self.mean_span, draw)
        empty = np.flatnonzero(lengths == 0)
        # As many tokens as the source may grow by, where every hidden word has one token only.
        spare = self.room - len(ids) + budget - (len(lengths) - len(empty))
        lengths = np.delete(lengths, empty[spare:])
        # Spans and the words that are left, in any order: which places of it are spans.
        places = np.sort(draw.choice(words - budget + len(lengths), size=len(lengths), replace=False))
        ordered = draw.permutation(lengths)
        begins = places - np.arange(len(places)) + np.cumsum(ordered) - ordered
        bounds = np.append(starts, len(ids))
        hidden = np.zeros(len(ids) + 1, dtype=np.int64)
        np.add.at(hidden, bounds[begins], 1)
        np.add.at(hidden, bounds[begins + ordered], -1)
        kept = np.cumsum(hidden)[:-1] == 0
        masks = np.concatenate([[0], np.cumsum(kept)])[bounds[begins]]
        return np.insert(ids[kept], masks, self.mask), np.insert(roles[kept], masks, OUTSIDE)

    def _masked(self, ids: np.ndarray, roles: np.ndarray, draw: np.random.Generator) -> Spoilt:
        chosen = self._some(roles, draw)
        ids, roles = ids.copy(), roles.copy()
        ids[chosen], roles[chosen] = self.mask, OUTSIDE
        return ids, roles

    def _deleted(self, ids: np.ndarray, roles: np.ndarray, draw: np.random.Generator) -> Spoilt:
        chosen = self._some(roles, draw)
        return np.delete(ids, chosen), np.delete(roles, chosen)

    def _some(self, roles: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """The rate's share of the tokens that are not masks, at random."""
        text = np.flatnonzero(roles != OUTSIDE)
        return draw.choice(text, size=math.ceil(self.rate * len(text)), replace=False)


def span_lengths(budget: int, mean: float, draw: np.random.Generator) -> np.ndarray:
    """Poisson lengths, drawn until they sum up to ``budget`` (at least 1), the last one trimmed to it."""
    drawn = np.zeros(0, dtype=np.int64)
    while drawn.sum() < budget:
        drawn = np.concatenate([drawn, draw.poisson(mean, size=max(8, int(2 * budget / mean)))])
    sums = np.cumsum(drawn)
    last = int(np.searchsorted(sums, budget))
    lengths: np.ndarray = drawn[: last + 1]
    lengths[last] -= sums[last] - budget
    return lengths


def permuted(ids: np.ndarray, roles: np.ndarray, draw: np.random.Generator) -> Spoilt:
    """The sentences in random order."""
    bounds = np.flatnonzero(roles == SENTENCE)
    parts = [part for part in np.split(np.arange(len(ids)), bounds) if len(part)]
    order = np.concatenate([parts[i] for i in draw.permutation(len(parts))])
    return ids[order], roles[order]


def rotated(ids: np.ndarray, roles: np.ndarray, draw: np.random.Generator) -> Spoilt:
    """The text from a random token on, and then what stood before it."""
    by = -int(draw.integers(len(ids)))
    return np.roll(ids, by), np.roll(roles, by)
