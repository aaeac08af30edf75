"""Test rows that training may have seen: equal, nearly equal, or sharing a long run of words with a train row.

A run of 13 words is what Brown et al. 2020 (GPT-3, appendix C) call a collision. Scripts that put no blanks between
words are read by character, and a run is 26 of them: about as much text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from escalade.data.duplicates import Overlap, duplicates, normalised
from escalade.records import Record, input_text, output_text

RUN = 13
"""Words of a run."""
_CHARACTERS = 26
"""Characters of a run, in scripts without blanks."""
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_WORD = re.compile(r"[^\W_]+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
Keys = NDArray[np.uint64]


@dataclass(frozen=True)
class Contaminated:
    """Ids of the test rows that each way of looking finds; one row may be found by several."""

    same: tuple[str, ...]
    """Input and output stand in train."""
    same_input: tuple[str, ...]
    """The input stands in train with another output."""
    near: tuple[str, ...]
    """The input has a Jaccard similarity of at least 0.8 to one of train."""
    runs: tuple[str, ...]
    """A run of 13 words stands in train too."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Every row that is found at all, sorted."""
        return tuple(sorted({*self.same, *self.same_input, *self.near, *self.runs}))


def contaminated(train: Sequence[Record], test: Sequence[Record], seed: int = 0) -> Contaminated:
    """Looks for every test row in train; case, blanks and forms of the same character do not matter."""
    overlap: Overlap = duplicates({"train": train, "test": test}, seed).between[0]
    return Contaminated(
        same=overlap.same_ids,
        same_input=overlap.same_input_ids,
        near=overlap.near_ids,
        runs=tuple(record.id for record, hit in zip(test, shared_runs(train, test), strict=True) if hit),
    )


def shared_runs(train: Sequence[Record], test: Sequence[Record]) -> list[bool]:
    """Per test row: whether a run of its input and output stands in a train row's.

    Runs are compared by 64-bit keys: that two different ones agree by chance happens less than once in a million
    comparisons of a million rows with a million.
    """
    number: dict[str, int] = {}
    nothing = np.zeros(0, np.uint64)
    known = np.unique(np.concatenate([nothing, *(_runs(record, number) for record in train)]))
    asked = [_runs(record, number) for record in test]
    # All rows are looked up at once: each look-up sorts what is known.
    row_of = np.repeat(np.arange(len(asked)), [len(keys) for keys in asked])
    hit = np.isin(np.concatenate([nothing, *asked]), known)
    found: list[bool] = np.isin(np.arange(len(asked)), row_of[hit]).tolist()
    return found


def _runs(record: Record, number: dict[str, int]) -> Keys:
    """The keys of a record's runs; none where it is shorter than one."""
    text = normalised(f"{input_text(record)}\n{output_text(record)}")
    dense = len(_UNSPACED.findall(text)) * 2 > len(text)
    pieces = [c for c in text if c.isalnum()] if dense else _WORD.findall(text)
    length = _CHARACTERS if dense else RUN
    ids = np.asarray([number.setdefault(piece, len(number) + 1) for piece in pieces], dtype=np.uint64)
    if len(ids) < length:
        return np.zeros(0, np.uint64)
    keys: Keys = np.zeros(len(ids) - length + 1, np.uint64)
    for i in range(length):
        keys = (keys ^ ids[i : i + len(keys)]) * _MULTIPLIER
        keys ^= keys >> np.uint64(29)
    return keys
