"""What labels there are, which of them only test knows, and which are suspiciously alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from escalade.data.duplicates import normalised
from escalade.errors import BadInput
from escalade.records import Labelled, Record, Related, Tagged
from escalade.values import Kind, SplitName

MOST_UNSEEN = 0.01
LABELLED: tuple[Kind, ...] = ("classification", "relation-extraction", "token-classification")


def labels_of(record: Record) -> frozenset[str]:
    """The label of a record, or its tags."""
    match record:
        case Labelled(label=label) | Related(label=label):
            return frozenset((label,))
        case Tagged(tags=tags):
            return frozenset(tags)
        case _:
            return frozenset()


def known_labels(splits: Mapping[SplitName, Sequence[Record]], kind: Kind) -> tuple[str, ...]:
    """Labels, or tags, of train and validation, sorted; empty where the kind has none."""
    if kind not in LABELLED:
        return ()
    return tuple(sorted({label for name in ("train", "validation") for r in splits[name] for label in labels_of(r)}))


def check_labels(splits: Mapping[SplitName, Sequence[Record]], kind: Kind, place: str) -> list[str]:
    """Labels of test that neither train nor validation knows: they are kept, and will be scored as wrong.

    Raises:
        BadInput: Over 1 % of the test rows have such a label, or there is but one label.
    """
    if kind not in LABELLED:
        return []
    known = set(known_labels(splits, kind))
    if len(known) < 2:
        raise BadInput("data.one_label", place=place, label=next(iter(known), ""))
    test = splits["test"]
    strange = [record for record in test if labels_of(record) - known]
    unseen = sorted({label for record in strange for label in labels_of(record) - known})
    if len(strange) > MOST_UNSEEN * len(test):
        raise BadInput("data.unseen_labels", place=place, labels=", ".join(unseen), rows=len(strange), test=len(test))
    return unseen


def label_counts(records: Sequence[Record]) -> dict[str, int]:
    """How often each label occurs: rows, or words for tags."""
    counts: Counter[str] = Counter()
    for record in records:
        counts.update(record.tags if isinstance(record, Tagged) else labels_of(record))
    return dict(sorted(counts.items()))


def alike(labels: Sequence[str]) -> list[list[str]]:
    """Labels that differ in case, width or blanks only: likely one label spelt in two ways."""
    spelt: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        spelt[normalised(label)].append(label)
    return [group for group in spelt.values() if len(group) > 1]
