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
from escalade.models.encoding import encode_prompt
from escalade.models.tokenizers import sentinel_ids
from escalade.protocols import Batch, Row
from escalade.records import Record, input_text
from escalade.train.objectives.token import TokenObjective

RATE = 0.15
MEAN_SPAN = 3.0


class Span(TokenObjective):
    """Rows are the text's tokens without the end token, which sources and targets get each.

    Raises:
        BadInput: The tokenizer has no sentinels ``<extra_id_0>``, ...
    """

    def __init__(self, tokenizer: Any, context: int) -> None:
        super().__init__(tokenizer, "encoder-decoder", context)
        self._sentinels = sentinel_ids(tokenizer)
        if not self._sentinels:
            raise BadInput("train.no_sentinels", place=tokenizer.name_or_path)
        self._end = [int(tokenizer.eos_token_id)]

    def encode(self, record: Record) -> Row | None:
        """The text's ids, at most as many as fit into the context once they are corrupted and ended."""
        ids = encode_prompt(self.tokenizer, "encoder-decoder", input_text(record))
        ids = ids[:-1] if ids[-1:] == self._end else ids
        if len(ids) > self._room():
            self.cut.append(record.id)
            ids = ids[: self._room()]
        return Row(record.id, tuple(ids), roles=(1,) * len(ids)) if len(ids) > 1 else None

    def collate(self, rows: Sequence[Row], seeds: Sequence[int]) -> Batch:
        """Sources with sentinels, targets with the spans they stand for."""
        made = [self.corrupt(row.ids, seed) for row, seed in zip(rows, seeds, strict=True)]
        return self.paired([source for source, _ in made], [target for _, target in made])

    def corrupt(self, ids: Sequence[int], seed: int) -> tuple[list[int], list[int]]:
        """Source and target of one row, both with the end token."""
        noise, spans = sizes(len(ids), len(self._sentinels))
        draw = np.random.default_rng(seed)
        hidden = _partition(noise, spans, draw)
        kept = _partition(len(ids) - noise, spans, draw)
        source: list[int] = []
        target: list[int] = []
        at = 0
        for sentinel, keep, hide in zip(self._sentinels, kept, hidden, strict=False):
            source += [*ids[at : at + keep], sentinel]
            target += [sentinel, *ids[at + keep : at + keep + hide]]
            at += keep + hide
        return source + self._end, target + self._end

    def _room(self) -> int:
        """The most tokens whose source fits into the context."""
        room = self.context
        while source_length(room + 1, len(self._sentinels)) <= self.context:
            room += 1
        return room if source_length(room, len(self._sentinels)) <= self.context else room - 1


def sizes(length: int, sentinels: int = 100) -> tuple[int, int]:
    """Hidden tokens and spans of a row of ``length`` tokens (at least 2)."""
    noise = min(max(round(RATE * length), 1), length - 1)
    spans = min(max(1, round(noise / MEAN_SPAN)), length - noise, sentinels)
    return noise, spans


def source_length(length: int, sentinels: int = 100) -> int:
    """Tokens of a row's source: what is kept, a sentinel per span, the end token."""
    noise, spans = sizes(length, sentinels)
    return length - noise + spans + 1


def target_length(length: int, sentinels: int = 100) -> int:
    """Tokens of a row's target: what is hidden, a sentinel per span, the end token."""
    noise, spans = sizes(length, sentinels)
    return noise + spans + 1


def _partition(total: int, parts: int, draw: np.random.Generator) -> list[int]:
    """``total`` as a sum of ``parts`` positive numbers, every such sum as likely as any other."""
    cuts = np.sort(draw.choice(total - 1, size=parts - 1, replace=False)) + 1
    lengths: list[int] = np.diff(np.concatenate([[0], cuts, [total]])).tolist()
    return lengths
