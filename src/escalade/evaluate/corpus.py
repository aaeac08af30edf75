"""Answers and references as numbers: every word of a whole corpus is looked at once, however many metrics follow.

A text becomes the numbers of its words in one flat array; what a stretch between blanks splits into is remembered, so
that each distinct stretch is split, folded and stemmed once. Several metrics of one call share this.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from escalade.protocols import Prediction
from escalade.records import Question, Record, output_text

Numbers = NDArray[np.int64]
_T = TypeVar("_T")
_CHARACTERS = 0x110000 - 0x800
"""How many there are, surrogates left out."""
_PORTION = 256
"""Texts split at once."""
Words = Callable[[str], list[str]]
"""Splits a text into words."""


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths, end to end."""

    codes: Numbers
    """All rows, shape (total,); not negative."""
    starts: Numbers
    """Where each row begins, and the end of the last; shape (rows + 1,)."""

    @property
    def lengths(self) -> Numbers:
        """Shape (rows,)."""
        return np.diff(self.starts)

    def rows(self) -> list[list[int]]:
        """The rows as lists."""
        flat, ends = self.codes.tolist(), self.starts.tolist()
        return [flat[start:end] for start, end in zip(ends, ends[1:], strict=False)]

    def take(self, which: Numbers) -> Ragged:
        """The rows of those numbers, in that order."""
        if np.array_equal(which, np.arange(len(self.starts) - 1)):
            return self
        lengths = self.lengths[which]
        starts = _starts(lengths)
        shifts = np.repeat(self.starts[which] - starts[:-1], lengths)
        return Ragged(self.codes[np.arange(starts[-1]) + shifts], starts)


@dataclass(frozen=True)
class Coded:
    """A corpus split in one way."""

    answers: Ragged
    """A row per item."""
    references: Ragged
    """A row per reference; items have one or several."""
    owner: Numbers
    """The item of each reference, shape (references,), ascending."""

    def pairs(self) -> tuple[Ragged, Ragged]:
        """The answer of each reference, and the reference."""
        return self.answers.take(self.owner), self.references


def as_strings(first: Ragged, second: Ragged) -> Iterator[tuple[str, str]]:
    """Each pair of rows as texts of one character per code: made to be compared, not read."""
    most = int(max(first.codes.max(initial=0), second.codes.max(initial=0)))
    if most < _CHARACTERS:
        return zip(_strings(first), _strings(second), strict=True)
    # More distinct words than there are characters: numbered anew in each pair.
    return (_renumbered(one, two) for one, two in zip(first.rows(), second.rows(), strict=True))


def _strings(rows: Ragged) -> list[str]:
    # Surrogates are no characters of their own to a decoder.
    codes = np.where(rows.codes < 0xD800, rows.codes, rows.codes + 0x800)
    flat, ends = codes.astype("<u4").tobytes().decode("utf-32-le"), rows.starts.tolist()
    return [flat[start:end] for start, end in zip(ends, ends[1:], strict=False)]


def _renumbered(one: Sequence[int], two: Sequence[int]) -> tuple[str, str]:
    number: dict[int, str] = {}
    first, second = (
        "".join([number.setdefault(code, chr(0x10000 + len(number))) for code in row]) for row in (one, two)
    )
    return first, second


class Splitting:
    """A way to split texts, with what it found so far.

    Args:
        words: Splits a text.
        blank: True where a text is split as its stretches between blanks are, each by itself; then each distinct
            stretch is split once.
        fold: Applied to each distinct word (a stemmer, say); equal results count as equal words.
        before: Applied to each whole text before anything else.
    """

    def __init__(
        self,
        words: Words,
        *,
        blank: bool = True,
        fold: Callable[[str], str] | None = None,
        before: Callable[[str], str] | None = None,
    ) -> None:
        self._words, self._blank, self._fold, self._before = words, blank, fold, before
        self._codes = _Numbering(self._folded)
        self._folds: dict[str, int] = {}
        self._stretches = _Numbering(self._stretch)
        # The words of all stretches, end to end: one list, where one per stretch would keep the collector busy.
        self._parts: list[int] = []
        self._ends: list[int] = [0]

    def coded(self, texts: Sequence[str]) -> Ragged:
        """Each text as the numbers of its words."""
        # In portions: the pieces of one are thrown away before the next needs memory.
        codes, lengths = [np.zeros(0, dtype=np.int64)], []
        number = self._stretches if self._blank else self._codes
        for first in range(0, len(texts), _PORTION):
            split = list(map(self._pieces, texts[first : first + _PORTION]))
            count = list(map(len, split))
            flat = chain.from_iterable(split)
            codes.append(np.fromiter(map(number.__getitem__, flat), dtype=np.int64, count=sum(count)))
            lengths += count
        found = Ragged(np.concatenate(codes), _starts(lengths))
        if not self._blank:
            return found
        parts = Ragged(np.array(self._parts, dtype=np.int64), np.array(self._ends, dtype=np.int64))
        words = parts.take(found.codes)
        return Ragged(words.codes, words.starts[found.starts])

    def _pieces(self, text: str) -> list[str]:
        """What is numbered: stretches between blanks, or words."""
        text = self._before(text) if self._before else text
        return text.split() if self._blank else self._words(text)

    def _stretch(self, stretch: str) -> int:
        self._parts.extend(map(self._codes.__getitem__, self._words(stretch)))
        self._ends.append(len(self._parts))
        return len(self._ends) - 2

    def _folded(self, word: str) -> int:
        return self._folds.setdefault(self._fold(word) if self._fold else word, len(self._folds))


class _Numbering(dict[str, int]):
    """Remembers the number a function gave."""

    def __init__(self, function: Callable[[str], int]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: str) -> int:
        self[key] = found = self._function(key)
        return found


class Corpus:
    """Predictions beside the references of their records, and what was already found out about them.

    Args:
        predictions: One per record; a missing text is empty.
        records: As long.
    """

    def __init__(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> None:
        self._of = (predictions, records)
        self.answers = [prediction.text or "" for prediction in predictions]
        references = [references_of(record) for record in records]
        self.references = list(chain.from_iterable(references))
        """Those of all records, end to end."""
        self.counts: Numbers = np.array([len(given) for given in references], dtype=np.int64)
        """References of each record, at least one."""
        self.owner: Numbers = np.repeat(np.arange(len(records)), self.counts)
        """The record of each reference."""
        self._known: dict[Hashable, object] = {}

    def is_of(self, predictions: Sequence[Prediction], records: Sequence[Record]) -> bool:
        """True where it was made of these very sequences."""
        return self._of[0] is predictions and self._of[1] is records

    def once(self, key: Hashable, compute: Callable[[], _T]) -> _T:
        """What ``compute`` gives, computed the first time that the key is asked for."""
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]  # type: ignore[return-value]

    def split(self, key: Hashable, splitting: Callable[[], Splitting]) -> Coded:
        """Answers and references split in one way; ``key`` names the way."""

        def split() -> Coded:
            way = splitting()
            return Coded(way.coded(self.answers), way.coded(self.references), self.owner)

        return self.once(("split", key), split)

    def letters(self) -> Coded:
        """Answers and references as their characters, blanks left out."""
        return self.once("letters", lambda: Coded(_letters(self.answers), _letters(self.references), self.owner))

    def best(self, scores: NDArray[np.float64]) -> Numbers:
        """The number of the reference with the highest score of each item, the first of equals.

        Args:
            scores: One per reference.
        """
        if len(scores) == len(self.counts):
            return np.arange(len(scores))
        order = np.lexsort((np.arange(len(scores)), -scores, self.owner))
        return order[np.cumsum(self.counts) - self.counts]


def corpus_of(shared: Corpus | None, predictions: Sequence[Prediction], records: Sequence[Record]) -> Corpus:
    """The shared corpus where it is of these predictions, else one of its own."""
    return shared if shared and shared.is_of(predictions, records) else Corpus(predictions, records)


def references_of(record: Record) -> tuple[str, ...]:
    """The texts a prediction may equal; a question without answers accepts the empty one."""
    return (record.answers or ("",)) if isinstance(record, Question) else (output_text(record),)


def _letters(texts: Sequence[str]) -> Ragged:
    joined = ["".join(text.split()) for text in texts]
    # A lone surrogate is a character here as any other.
    raw = "".join(joined).encode("utf-32-le", "surrogatepass")
    return Ragged(np.frombuffer(raw, dtype="<u4").astype(np.int64), _starts([len(text) for text in joined]))


def _starts(lengths: Numbers | list[int]) -> Numbers:
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
