"""Masked language modelling (Devlin et al. 2019, section 3.1), masked anew at every pass (Liu et al. 2019, 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from escalade.models.encoding import cut_prompt, encode_prompt
from escalade.protocols import Batch, Row
from escalade.records import Record, input_text
from escalade.train.losses import IGNORE
from escalade.train.objectives.matrix import filled, matrix
from escalade.train.objectives.token import TokenObjective, check_context, check_positive, check_share, mask_id
from escalade.train.objectives.words import OUTSIDE, PIECE, WORD, Words

RATE = 0.15
RATES = {"bert": RATE, "modernbert": 0.30}
"""Share of the tokens that an architecture was published with (ModernBERT: Warner et al. 2024, section 2.2.1)."""
MASKED, RANDOM = 0.8, 0.1
"""Of the chosen tokens: replaced by the mask token, replaced by a random one; the rest is left as it is."""


class Mlm(TokenObjective):
    """Of each row max(1, round(rate x length)) tokens are chosen, special ones never, and learnt.

    The length is that of the row with its special tokens. Random tokens are drawn from the whole vocabulary but its
    special tokens, so one may be the token it replaces.

    Args:
        tokenizer: The model's tokenizer.
        context: Longest input in tokens.
        rate: Share of the tokens that is chosen; see ``RATES``.
        whole_word: Choose words, all tokens of one together (what a word is, ``Words`` says), in random order; a word
            that would exceed the number of tokens to choose is passed over. Each token of a chosen word is masked,
            swapped or left by itself. A row all of whose words are longer than that number teaches nothing.
        dynamic: A new mask at every pass. Else each row has ``copies`` masks, which its id alone decides, and each pass
            takes one of them: that with the number seed modulo copies, the seed being the row's for this pass. So the
            masks are those of a file made once with so many duplicates, whatever the run's seed is, but passes draw
            among them rather than going through them in turn.
        copies: Masks of a row where they are not dynamic (BERT's dupe factor).

    Raises:
        BadInput: The tokenizer has no mask token, or the options make no sense.
    """

    _around = 2
    """Special tokens of a row."""

    def __init__(
        self,
        tokenizer: Any,
        context: int,
        rate: float = RATE,
        whole_word: bool = False,
        dynamic: bool = True,
        copies: int = 10,
    ) -> None:
        super().__init__(tokenizer, "encoder", context)
        self.mask = mask_id(tokenizer)
        check_context(self, context, self._around + 1)
        check_share("rate", rate)
        check_positive("copies", copies)
        self.rate, self.dynamic, self.copies = rate, dynamic, copies
        self._special = frozenset(tokenizer.all_special_ids)
        self._ordinary = np.array([i for i in range(len(tokenizer)) if i not in self._special])
        self._words = Words(tokenizer) if whole_word else None

    def encode(self, record: Record) -> Row | None:
        """The text's ids with the tokenizer's special tokens, which have role 0."""
        ids = encode_prompt(self.tokenizer, "encoder", input_text(record))
        if len(ids) > self.context:
            self.cut.append(record.id)
            ids = cut_prompt(self.tokenizer, "encoder", ids, self.context)
        return self.row(record.id, ids)

    def row(self, name: str, ids: Sequence[int]) -> Row | None:
        """A row of ids; None where nothing of it can be hidden. Of whole words, roles tell where each begins."""
        roles = self._roles(ids)
        if not roles.any():
            return None
        row = Row(name, tuple(ids), roles=tuple(roles.tolist()))
        fits = self._words is None or min(map(len, _spans(roles))) <= self._wanted(row)
        return row if fits else None

    def collate(self, rows: Sequence[Row], seeds: Sequence[int]) -> Batch:
        """What is hidden depends on a row and its own seed only."""
        hidden = [self._hide(row, seed) for row, seed in zip(rows, seeds, strict=True)]
        ids, labels = [read for read, _ in hidden], [label for _, label in hidden]
        return {"ids": matrix(ids, self.pad), "mask": filled(ids), "labels": matrix(labels, IGNORE)}

    def _roles(self, ids: Sequence[int]) -> np.ndarray:
        """OUTSIDE for special tokens; else PIECE, or where words matter, WORD for their first tokens."""
        inside = np.array([i not in self._special for i in ids], dtype=bool)
        if self._words is None:
            return np.where(inside, PIECE, OUTSIDE)
        begins = self._words.begins(ids)
        begins[1:] |= ~inside[:-1]
        return np.where(inside, np.where(begins, WORD, PIECE), OUTSIDE)

    def _wanted(self, row: Row) -> int:
        return max(1, round(self.rate * len(row.ids)))

    def _hide(self, row: Row, seed: int) -> tuple[np.ndarray, np.ndarray]:
        draw = np.random.default_rng(seed if self.dynamic else _fixed(row.id, seed % self.copies))
        ids = np.array(row.ids, dtype=np.int64)
        chosen = self._chosen(np.asarray(row.roles), self._wanted(row), draw)
        labels = np.full(len(ids), IGNORE, dtype=np.int64)
        labels[chosen] = ids[chosen]
        fate = draw.random(len(chosen))
        ids[chosen[fate < MASKED]] = self.mask
        swapped = chosen[(fate >= MASKED) & (fate < MASKED + RANDOM)]
        ids[swapped] = draw.choice(self._ordinary, size=len(swapped))
        return ids, labels

    def _chosen(self, roles: np.ndarray, wanted: int, draw: np.random.Generator) -> np.ndarray:
        """Places to hide: any, or those of whole words, as many as fit."""
        if self._words is None:
            candidates = np.flatnonzero(roles)
            return draw.choice(candidates, size=min(wanted, len(candidates)), replace=False)
        spans = _spans(roles)
        chosen: list[int] = []
        for i in draw.permutation(len(spans)).tolist():
            if len(chosen) + len(spans[i]) <= wanted:
                chosen += spans[i]
            if len(chosen) == wanted:
                break
        return np.array(chosen, dtype=np.int64)


def _spans(roles: np.ndarray) -> list[range]:
    """The places of each word, from the roles of its tokens."""
    starts = np.flatnonzero(roles >= WORD)
    stops = np.flatnonzero(np.append(roles, OUTSIDE) != PIECE)
    ends = stops[np.searchsorted(stops, starts, side="right")]
    return [range(start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def _fixed(name: str, copy: int) -> int:
    """A seed from a row's id and the number of a copy alone."""
    return int.from_bytes(blake2b(f"{name}/{copy}".encode(errors="surrogatepass"), digest_size=8).digest(), "little")
