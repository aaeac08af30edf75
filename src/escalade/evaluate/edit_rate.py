"""Edits from an answer to its reference where a run of words may move as one edit (Snover et al. 2006).

The search for moves is greedy, as in the authors' Tercom and in sacrebleu, whose limits and order of preference are
kept, so that the counts are equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

_LONGEST_MOVE = 10
_FARTHEST_MOVE = 50
_MOST_CANDIDATES = 1000
_BAND = 25
"""Columns on either side of the diagonal that the table of edits is filled in."""
_NEAR = 23
"""Edits up to which every best path lies within the band: it leaves the diagonal by no more than its edits."""
_FAR = 10**16

_SAME, _OTHER, _EXTRA, _MISSING = "same", "other", "extra", "missing"
"""What happens to a word: kept, replaced, taken out of the answer, put in from the reference."""


def edits(answer: str, reference: str) -> int:
    """Least number of edits that the search finds.

    Args:
        answer: One character per word.
        reference: The same.
    """
    if not reference:
        return len(answer)
    moves = checked = 0
    while True:
        gain, moved, checked = _best_move(answer, reference, checked)
        if gain <= 0 or checked >= _MOST_CANDIDATES:
            return moves + _distance(answer, reference)
        moves += 1
        answer = moved


def _best_move(answer: str, reference: str, checked: int) -> tuple[int, str, int]:
    """The move that saves the most edits, of equals the longest, then the earliest.

    Returns:
        The edits saved, the answer after the move, and how many moves have been looked at so far.
    """
    before, path = _path(answer, reference)
    aligned = _Alignment.of(path)
    best: tuple[int, int, int, int] | None = None
    moved = answer
    for start, at, length in _runs(answer, reference):
        if not aligned.worth(start, at, length):
            continue
        for target in aligned.targets(at, length):
            candidate = _moved(answer, start, length, target)
            checked += 1
            most = before - Levenshtein.distance(candidate, reference)
            # Within the band it saves no more than that: what would not be taken even so is not looked at.
            if most <= 0 or (best and (most, length, -start, -target) <= best):
                continue
            rank = (before - _distance(candidate, reference), length, -start, -target)
            if best is None or rank > best:
                best, moved = rank, candidate
        if checked >= _MOST_CANDIDATES:
            break
    return (best[0] if best else 0), moved, checked


def _runs(answer: str, reference: str) -> Iterator[tuple[int, int, int]]:
    """Words that stand in both: start in the answer, start in the reference, length; each prefix of a run too."""
    for start, word in enumerate(answer):
        at = reference.find(word, max(0, start - _FARTHEST_MOVE))
        while 0 <= at <= start + _FARTHEST_MOVE:
            most = min(_LONGEST_MOVE, len(answer) - start, len(reference) - at)
            length = 1
            yield start, at, length
            while length < most and answer[start + length] == reference[at + length]:
                length += 1
                yield start, at, length
            at = reference.find(word, at + 1)


def _moved(words: str, start: int, length: int, target: int) -> str:
    """The run taken out and put before the word that stands at ``target``."""
    run, rest = words[start : start + length], words[:start] + words[start + length :]
    if target > start + length:
        target -= length
    return rest[:target] + run + rest[target:]


@dataclass(frozen=True)
class _Alignment:
    """What the best path of plain edits says of each word."""

    place: tuple[int, ...]
    """For each word of the reference the last word of the answer that the path has come to; -1 before the first."""
    wrong_answer: tuple[bool, ...]
    wrong_reference: tuple[bool, ...]

    @classmethod
    def of(cls, path: list[str]) -> _Alignment:
        place: list[int] = []
        wrong_answer: list[bool] = []
        wrong_reference: list[bool] = []
        for edit in path:
            if edit != _MISSING:
                wrong_answer.append(edit != _SAME)
            if edit != _EXTRA:
                wrong_reference.append(edit != _SAME)
                place.append(len(wrong_answer) - 1)
        return cls(tuple(place), tuple(wrong_answer), tuple(wrong_reference))

    def worth(self, start: int, at: int, length: int) -> bool:
        """True where both places are wrong as they are, and the run does not already lie there."""
        return (
            any(self.wrong_answer[start : start + length])
            and any(self.wrong_reference[at : at + length])
            and not start <= self.place[at] < start + length
        )

    def targets(self, at: int, length: int) -> Iterator[int]:
        """Where to put a run that matches the reference from ``at`` on: before it, and behind each of its words."""
        last = -1
        for place in range(at - 1, min(at + length, len(self.place))):
            target = self.place[place] + 1 if place >= 0 else 0
            if target != last:
                yield target
            last = target


def _distance(answer: str, reference: str) -> int:
    """Plain edits; those of the band where the two are far apart."""
    found = Levenshtein.distance(answer, reference)
    return found if found <= _NEAR else _table(answer, reference)[-1][-1]


def _path(answer: str, reference: str) -> tuple[int, list[str]]:
    """Plain edits, and one after the other what they do; replacing goes before taking out, that before putting in."""
    table = _table(answer, reference)
    path: list[str] = []
    i, j = len(answer), len(reference)
    while i or j:
        value = table[i][j]
        if i and j and table[i - 1][j - 1] + (answer[i - 1] != reference[j - 1]) == value:
            i, j = i - 1, j - 1
            path.append(_SAME if answer[i] == reference[j] else _OTHER)
        elif i and table[i - 1][j] + 1 == value:
            i -= 1
            path.append(_EXTRA)
        else:
            j -= 1
            path.append(_MISSING)
    return table[-1][-1], path[::-1]


def _table(answer: str, reference: str) -> list[list[int]]:
    """Edits between every two beginnings, within the band; the last row is whole."""
    width = len(reference)
    slope = width / len(answer) if answer else 1.0
    band = math.ceil(slope / 2 + _BAND) if slope / 2 > _BAND else _BAND
    rows = [list(range(width + 1))]
    for i, word in enumerate(answer, start=1):
        middle = math.floor(i * slope)
        first, last = max(0, middle - band), min(width + 1, middle + band)
        if i == len(answer):
            last = width + 1
        above, row = rows[-1], [_FAR] * (width + 1)
        left = _FAR
        for j in range(first, last):
            if j == 0:
                left = above[0] + 1
            else:
                kept = above[j - 1] + (word != reference[j - 1])
                left = min(kept, above[j] + 1, left + 1)
            row[j] = left
        rows.append(row)
    return rows
