"""Rows that stand in two splits: equal after normalising, or nearly equal. They are reported, never removed."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from escalade.data.minhash import candidates, jaccard, shingles
from escalade.records import Question, Record, input_text, output_text
from escalade.values import SplitName, Value

SIMILAR = 0.8
_EXAMPLES = 5
IDS = {"same_ids", "same_input_ids", "near_ids"}
"""Fields of an overlap that list every row."""
_ORDER: tuple[SplitName, ...] = ("train", "validation", "test")


class Example(Value):
    """One pair of rows alike."""

    ids: tuple[str, str]
    similarity: float


class Overlap(Value):
    """What two splits have in common, counted in rows of ``second``."""

    first: SplitName
    second: SplitName
    same: int
    """Rows whose input and output stand in ``first`` too."""
    same_input: int
    """Rows whose input stands in ``first`` with another output only."""
    near: int
    """Rows, none of those, whose input has a Jaccard similarity of at least 0.8 to one of ``first``."""
    same_ids: tuple[str, ...]
    """Ids of the rows counted by ``same``."""
    same_input_ids: tuple[str, ...]
    near_ids: tuple[str, ...]
    examples: tuple[Example, ...]
    """Up to five pairs of ``same`` and ``same_input``, and up to five of ``near``."""


@dataclass(frozen=True)
class Duplicates:
    """What stands twice.

    Args:
        between: Per pair of splits.
        within: Per split, the rows that repeat the input and output of an earlier one.
    """

    between: tuple[Overlap, ...]
    within: dict[SplitName, int]


@dataclass
class _Found:
    """What is known of a pair of splits while counting."""

    same: list[str] = field(default_factory=list)
    same_input: list[str] = field(default_factory=list)
    near: list[str] = field(default_factory=list)
    exact_examples: list[Example] = field(default_factory=list)
    near_examples: list[Example] = field(default_factory=list)


@dataclass(frozen=True)
class _Rows:
    """The rows of one split, every text normalised once."""

    ids: list[str]
    inputs: list[str]
    outputs: list[str]
    texts: list[str]
    """What is compared for nearness."""
    passages: list[str]
    """What must be equal for two rows to be near; "" where there is no such thing."""
    by_input: dict[str, list[int]]

    @classmethod
    def of(cls, records: Sequence[Record]) -> _Rows:
        inputs = [normalised(input_text(record)) for record in records]
        texts = [normalised(r.question) if isinstance(r, Question) else t for r, t in zip(records, inputs, strict=True)]
        by_input: dict[str, list[int]] = defaultdict(list)
        for i, text in enumerate(inputs):
            by_input[text].append(i)
        return cls(
            ids=[record.id for record in records],
            inputs=inputs,
            outputs=[normalised(output_text(record)) for record in records],
            texts=texts,
            passages=[normalised(r.context) if isinstance(r, Question) else "" for r in records],
            by_input=by_input,
        )


def normalised(text: str) -> str:
    """NFKC, case folded, blanks collapsed: what two texts must share to count as equal."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def duplicates(splits: Mapping[SplitName, Sequence[Record]], seed: int = 0) -> Duplicates:
    """What splits have in common, and what stands twice in one.

    Questions are compared with those about the same passage: two are not alike because their passages are.

    Args:
        splits: Records by split.
        seed: Of the hashes; any seed finds the same but for about two near pairs in a thousand.
    """
    rows = {name: _Rows.of(splits[name]) for name in _ORDER if name in splits}
    found = {pair: _exact(rows[pair[0]], rows[pair[1]]) for pair in combinations(rows, 2)}
    _near(found, rows, seed)
    between = tuple(
        Overlap(
            first=first,
            second=second,
            same=len(f.same),
            same_input=len(f.same_input),
            near=len(f.near),
            same_ids=tuple(f.same),
            same_input_ids=tuple(f.same_input),
            near_ids=tuple(f.near),
            examples=tuple(f.exact_examples[:_EXAMPLES] + f.near_examples[:_EXAMPLES]),
        )
        for (first, second), f in found.items()
    )
    return Duplicates(
        between, {n: len(r.ids) - len(set(zip(r.inputs, r.outputs, strict=True))) for n, r in rows.items()}
    )


def _exact(first: _Rows, second: _Rows) -> _Found:
    found = _Found()
    for i, text in enumerate(second.inputs):
        if text not in first.by_input:
            continue
        others = first.by_input[text]
        twin = next((j for j in others if first.outputs[j] == second.outputs[i]), None)
        (found.same_input if twin is None else found.same).append(second.ids[i])
        ids = first.ids[others[0] if twin is None else twin], second.ids[i]
        found.exact_examples.append(Example(ids=ids, similarity=1.0))
    return found


def _near(found: Mapping[tuple[SplitName, SplitName], _Found], rows: Mapping[SplitName, _Rows], seed: int) -> None:
    """Candidates by MinHash, each verified on the whole sets; one hit in a split is enough for a row."""
    # A text is hashed once, however often it stands there.
    members = [(_ORDER.index(name), at[0]) for name, held in rows.items() for at in held.by_input.values()]
    texts = [rows[_ORDER[side]].texts[i] for side, i in members]
    exact = {pair: set(f.same) | set(f.same_input) for pair, f in found.items()}
    done: set[tuple[SplitName, int]] = set()
    sets: dict[int, set[str]] = {}
    for a, b in candidates(texts, [side for side, _ in members], seed):
        (first, i), (second, j) = ((_ORDER[side], row) for side, row in (members[a], members[b]))
        earlier, later = rows[first], rows[second]
        known = (first, b) in done or later.ids[j] in exact[first, second]
        if known or earlier.passages[i] != later.passages[j]:
            continue
        for k in (a, b):
            if k not in sets:
                sets[k] = shingles(texts[k])
        similarity = jaccard(sets[a], sets[b])
        if similarity >= SIMILAR:
            done.add((first, b))
            found[first, second].near.extend(later.ids[k] for k in later.by_input[later.inputs[j]])
            example = Example(ids=(earlier.ids[i], later.ids[j]), similarity=round(similarity, 4))
            found[first, second].near_examples.append(example)
