"""The account of ingesting: what was read and refused, how it was understood, what stands twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from escalade.data.columns import Reading
from escalade.data.duplicates import IDS, duplicates
from escalade.data.labels import LABELLED, alike, known_labels, label_counts
from escalade.data.language import Language
from escalade.project import SplitRule
from escalade.records import Record
from escalade.values import Facts, SplitName


def describe(
    *,
    facts: Facts,
    reading: Reading,
    language: Language,
    splits: Mapping[SplitName, Sequence[Record]],
    sources: Mapping[str, tuple[str, int, int]],
    made: Mapping[SplitName, int],
    rule: SplitRule,
    seed: int,
    unseen: Sequence[str],
    leaking: Sequence[str],
    preferences: tuple[int, int],
) -> dict[str, Any]:
    """The account as plain JSON types. Every reason is ``{"key", "facts"}`` of a message, readable in any language.

    Returns:
        ``sources`` (per source: file, rows read, refused, kept), ``splits`` (rows and groups), ``split_rule`` (which
        splits were made, by what, seed), ``kind`` and ``columns`` (with reasons), ``language``, ``labels`` (rows, or
        words, per label and split; for tags also words), ``unseen_labels``, ``similar_labels``, ``duplicates`` (per
        pair of splits: same, same_input, near, examples; repeats inside each split), ``leakage`` (ids of test rows
        whose input and output stand in train, of preferences whose prompt is asked in test, and groups that stand in
        two splits) and ``preferences``.
    """
    found = duplicates(splits, seed)
    columns = reading.columns.model_dump(mode="json", exclude_defaults=True)
    return {
        "sources": {
            name: {"file": file, "read": rows, "refused": refused, "kept": rows - refused}
            for name, (file, rows, refused) in sources.items()
        },
        "splits": {name: {"rows": len(r), "groups": len(_units(r))} for name, r in splits.items()},
        "split_rule": _rule(reading, rule, made, seed),
        "kind": {"kind": facts.kind, "preference": reading.preference, **reading.why_kind.to_json()},
        "columns": {name: {"columns": columns.get(name), **why.to_json()} for name, why in reading.why.items()},
        "language": {"language": language.code, "script": language.script, **language.why.to_json()},
        "labels": {n: label_counts(r) for n, r in splits.items()} if facts.kind in LABELLED else {},
        "unseen_labels": list(unseen),
        "similar_labels": alike(known_labels(splits, facts.kind)),
        "duplicates": {
            "between": [overlap.model_dump(mode="json", exclude=IDS) for overlap in found.between],
            "within": dict(found.within),
        },
        "leakage": {
            "test_rows_in_train": [
                id for o in found.between if (o.first, o.second) == ("train", "test") for id in o.same_ids
            ],
            "preferences_in_test": list(leaking),
            "groups_in_two_splits": _shared_groups(splits),
        },
        "preferences": {"learn": preferences[0], "held_out": preferences[1]},
    }


def _units(records: Sequence[Record]) -> set[str]:
    return {record.group if record.group is not None else record.id for record in records}


def _rule(reading: Reading, rule: SplitRule, made: Mapping[SplitName, int], seed: int) -> dict[str, Any]:
    if reading.columns.group:
        by = "group"
    else:
        by = "label" if reading.kind in ("classification", "relation-extraction") else "row"
    return {"made": dict(made), "by": by, "test": rule.test, "validation": rule.validation, "seed": seed}


def _shared_groups(splits: Mapping[SplitName, Sequence[Record]]) -> list[str]:
    """Groups that the given sources put into more than one split."""
    held = [{r.group for r in records if r.group is not None} for records in splits.values()]
    return sorted({g for i, groups in enumerate(held) for other in held[i + 1 :] for g in groups & other if g})
