"""Span corruption: spans of a text are replaced by sentinels and written out (Raffel et al. 2020, section 3.1.4).

A row of n tokens has noise = clip(round(0.15 n), 1, n - 1) hidden tokens in max(1, round(noise / 3)) spans. Lengths of
spans and of what stands between them are uniformly random partitions; a row begins with tokens that are kept. The
target has no closing sentinel, as in the authors' code. ``round`` is to even.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from escalade.errors import BadInput
from escalade.models.encoding import encode_plain, frame
from escalade.models.tokenizers import sentinel_ids
from escalade.protocols import Batch, Row
from escalade.records import Record, input_text
from escalade.train.objectives.token import TokenObjective, check_context

RATE = 0.15
MEAN_SPAN = 3.0


class Span(TokenObjective):
    """Rows are the text's tokens without those that frame it; sources are framed again, targets get the end token.

    Raises:
        BadInput: The tokenizer has no sentinels ``<extra_id_0>``, ..., or fewer than a row of the context has spans.
    """

    def __init__(self, tokenizer: Any, context: int) -> None:
        super().__init__(tokenizer, "encoder-decoder", context)
        self._sentinels = np.array(sentinel_ids(tokenizer), dtype=np.int64)
        if not len(self._sentinels):
            raise BadInput("train.no_sentinels", place=tokenizer.name_or_path)
        before, after = frame(tokenizer)
        self._before, self._after = np.array(before, dtype=np.int64), np.array(after, dtype=np.int64)
        self._end = np.array([tokenizer.eos_token_id], dtype=np.int64)
        # ``source_length`` counts the end token; a tokenizer may put more around a text.
        room = context - len(before) - len(after) + 1
        check_context(self, room, source_length(2))
        self.room = longest(room)
        """The most tokens whose source fits into the context."""
        self._check_sentinels()

    def encode(self, record: Record) -> Row | None:
        """The text's ids, at most as many as fit into the context once they are corrupted and ended."""
        ids = encode_plain(self.tokenizer, input_text(record))
        if len(ids) > self.room:
            self.cut.append(record.id)
            ids = ids[: self.room]
        return Row(record.id, tuple(ids), roles=(1,) * len(ids)) if len(ids) > 1 else None

    def collate(self, rows: Sequence[Row], seeds: Sequence[int]) -> Batch:
        """Sources with sentinels, targets with the spans they stand for."""
        made = [self.corrupt(row.ids, seed) for row, seed in zip(rows, seeds, strict=True)]
        return self.paired([source for source, _ in made], [target for _, target in made])

    def corrupt(self, ids: Sequence[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Source and target of one row, with all special tokens."""
        text = np.array(ids, dtype=np.int64)
        noise, spans = sizes(len(text))
        draw = np.random.default_rng(seed)
        hidden, kept = _partition(noise, spans, draw), _partition(len(text) - noise, spans, draw)
        starts = np.cumsum(kept) + np.cumsum(hidden) - hidden
        is_hidden = np.repeat(np.tile([False, True], spans), np.stack([kept, hidden], axis=1).ravel())
        sentinels = self._sentinels[:spans]
        target = np.insert(text[is_hidden], np.cumsum(hidden) - hidden, sentinels)
        text[starts], is_hidden[starts] = sentinels, False
        return np.concatenate([self._before, text[~is_hidden], self._after]), np.concatenate([target, self._end])

    def _check_sentinels(self) -> None:
        """Sees to it that every span of every row gets a sentinel of its own."""
        have, spans = len(self._sentinels), sizes(self.room)[1]
        if spans > have:
            most = next(n for n in range(self.room, 1, -1) if sizes(n)[1] <= have)
            around = len(self._before) + len(self._after) - 1
            most = source_length(most) + around
            raise BadInput(
                "train.few_sentinels",
                place=self.tokenizer.name_or_path,
                context=self.context,
                spans=spans,
                sentinels=have,
                most=most,
            )


def sizes(length: int) -> tuple[int, int]:
    """Hidden tokens and spans of a row of ``length`` tokens (at least 2)."""
    noise = min(max(round(RATE * length), 1), length - 1)
    spans = min(max(1, round(noise / MEAN_SPAN)), length - noise)
    return noise, spans


def source_length(length: int) -> int:
    """Tokens of a row's source: what is kept, a sentinel per span, the end token."""
    noise, spans = sizes(length)
    return length - noise + spans + 1


def target_length(length: int) -> int:
    """Tokens of a row's target: what is hidden, a sentinel per span, the end token."""
    noise, spans = sizes(length)
    return noise + spans + 1


def longest(room: int) -> int:
    """The longest row whose source has ``room`` tokens at most; every shorter one fits too."""
    length = 2
    while source_length(length + 1) <= room:
        length += 1
    return length


def _partition(total: int, parts: int, draw: np.random.Generator) -> np.ndarray:
    """``total`` as a sum of ``parts`` positive numbers, every such sum as likely as any other."""
    cuts = np.sort(draw.choice(total - 1, size=parts - 1, replace=False)) + 1
    return np.diff(np.concatenate([[0], cuts, [total]])).astype(np.int64)
