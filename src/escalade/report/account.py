"""What ingest wrote down of a task's rows, as facts and tables; a part that is missing is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from escalade import messages
from escalade.document import TaskDocument
from escalade.report import format
from escalade.report.lineage import Lineage
from escalade.report.parts import Fact, Table, number, table, words

_SPLITS = {"train": "report.train", "validation": "report.validation_split", "test": "report.test"}
_CUT_BY = {"row": "report.by_row", "label": "report.by_label", "group": "report.by_group"}
_LISTED = 10

Account = Mapping[str, Any]


def splits(task: TaskDocument, account: Account, found: Lineage) -> Table:
    """Rows, groups and repeated rows of each split."""
    output = found.ingest.output if found.ingest else {}
    repeated = _part(_part(account, "duplicates"), "within")
    columns = [words(messages.text("report.split")), number(messages.text("report.rows"))]
    columns += [number(messages.text("report.groups")), number(messages.text("report.repeated"))]
    lines = []
    for name, rows in task.rows.items():
        groups = _part(output, name).get("groups")
        counts = [rows, groups, repeated.get(name)]
        lines.append([words(_split(name)), *(number(_count(value)) for value in counts)])
    return table(messages.text("report.splits"), columns, lines)


def sources(account: Account) -> Table | None:
    """Rows read, refused and kept of each file."""
    named = ("file", "read", "refused", "kept")
    lines = [
        [
            words(_split(role)),
            words(format.shorten(str(said.get("file", "")), 80)),
            *(number(_count(said.get(name))) for name in named[1:]),
        ]
        for role, said in _part(account, "sources").items()
    ]
    columns = [words(messages.text("report.source")), words(messages.text("report.file"))]
    for key in ("report.rows_read", "report.rows_refused", "report.rows_kept"):
        columns.append(number(messages.text(key)))
    return table(messages.text("report.sources"), columns, lines) if lines else None


def twins(account: Account) -> Table | None:
    """Rows of one split that stand in another, or nearly so."""
    between = _part(account, "duplicates").get("between") or []
    columns = [words(messages.text("report.split_pair"))]
    for key in ("report.same", "report.same_input", "report.near"):
        columns.append(number(messages.text(key)))
    lines = []
    for pair in between:
        said = messages.text(
            "report.pair", second=_split(str(pair.get("second"))), first=_split(str(pair.get("first")))
        )
        counts = [number(_count(pair.get(name))) for name in ("same", "same_input", "near")]
        lines.append([words(said), *counts])
    return table(messages.text("report.twins"), columns, lines) if lines else None


def understood(account: Account, found: Lineage) -> list[Fact]:
    """How the rows were read: kind, columns, language and split rule, each with the reason."""
    facts = []
    kind = _part(account, "kind")
    if kind.get("kind"):
        facts.append(Fact(messages.text("report.kind"), str(kind["kind"]), reason(kind)))
    for name, said in _part(account, "columns").items():
        value = _joined(said.get("columns"), " + ")
        facts.append(Fact(messages.text("report.column", name=name), value or format.ABSENT, reason(said)))
    spoken = _part(account, "language")
    known = spoken.get("language") or (_part(found.ingest.output, "facts").get("language") if found.ingest else None)
    if known:
        facts.append(Fact(messages.text("report.language"), format.shorten(str(known), 20), reason(spoken)))
    rule = _part(account, "split_rule")
    if rule.get("made"):
        made = ", ".join(_split(name) for name in rule["made"])
        by = messages.text(_CUT_BY[rule["by"]]) if rule.get("by") in _CUT_BY else ""
        facts.append(Fact(messages.text("report.cut"), made, by))
    return facts


def lengths(found: Lineage) -> list[Fact]:
    """Lengths of inputs and outputs in the train rows."""
    facts = []
    for side, key in (("input", "report.input_lengths"), ("output", "report.output_lengths")):
        said = _part(found.profile.output, side) if found.profile else {}
        if said and not (side == "output" and found.profile and found.profile.output.get("labels")):
            shown = {name: f"{value:.4g}" for name, value in said.items()}
            facts.append(Fact(messages.text(key), messages.text("report.lengths", **shown)))
    return facts


def warnings(account: Account) -> list[Fact]:
    """What a reader of the scores must know: strange labels, leakage."""
    leakage = _part(account, "leakage")
    alike = [" = ".join(map(str, group)) for group in account.get("similar_labels") or ()]
    found: list[tuple[str, Sequence[Any]]] = [
        ("report.unseen_labels", account.get("unseen_labels") or ()),
        ("report.similar_labels", alike),
        ("report.leaking_rows", leakage.get("test_rows_in_train") or ()),
        ("report.leaking_preferences", leakage.get("preferences_in_test") or ()),
        ("report.leaking_groups", leakage.get("groups_in_two_splits") or ()),
    ]
    return [Fact(messages.text(key), format.count(len(items)), _listed(items)) for key, items in found if items]


def reason(said: Mapping[str, Any]) -> str:
    """A reason in the page's language where its key is known, else as it was written down."""
    key = said.get("key")
    if not isinstance(key, str):
        return format.shorten(str(said.get("reason", "")), 300)
    try:
        return format.shorten(messages.text(key, **(said.get("facts") or {})), 300)
    except (LookupError, OSError):
        return format.shorten(str(said.get("reason", key)), 300)


def _part(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A mapping inside a mapping; empty where there is none."""
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def _split(name: str) -> str:
    return messages.text(_SPLITS[name]) if name in _SPLITS else name


def _count(value: object) -> str:
    return format.count(value) if isinstance(value, int | float) else format.ABSENT


def _joined(value: object, between: str) -> str:
    parts = value if isinstance(value, list | tuple) else [value]
    return between.join(format.shorten(str(part), 60) for part in parts if part is not None)


def _listed(items: Sequence[Any]) -> str:
    return _joined(list(items[:_LISTED]), ", ") + (", …" if len(items) > _LISTED else "")
