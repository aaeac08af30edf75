"""A task's sources as records by split, with an account of everything that was found and of every row not kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from escalade import messages
from escalade.data.account import describe
from escalade.data.columns import Because, Reading, check, guess, guess_preferences
from escalade.data.convert import Refusal, to_preference, to_record
from escalade.data.duplicates import normalised
from escalade.data.hub import own_splits
from escalade.data.labels import check_labels, known_labels, labels_of
from escalade.data.language import Language, guess_language
from escalade.data.read import is_on_hub, read, source_digest
from escalade.data.refused import RefusedRow, check_refused
from escalade.data.split import FEWEST, Placed, assign
from escalade.data.table import Table
from escalade.errors import BadInput
from escalade.project import Columns, SplitRule, Task
from escalade.protocols import Progress
from escalade.records import Pair, Preference, Record, Text, input_text, output_text
from escalade.values import Facts, SplitName

_SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Prepared:
    """What ``prepare`` gives.

    Args:
        facts: What later stages must know.
        splits: Records by split; the type is ``records.RECORD_OF`` of the kind.
        preferences: Preference pairs to learn from.
        preference_validation: Preference pairs held out.
        refused: Every row that is no record, and why.
        account: What was read, guessed and found, as plain JSON types; ``account.describe`` says what is in it.
        columns: The columns as they were read.
    """

    facts: Facts
    splits: dict[SplitName, list[Record]]
    preferences: list[Preference]
    refused: list[RefusedRow]
    account: dict[str, Any]
    columns: Columns
    preference_validation: list[Preference] = field(default_factory=list)


@dataclass(frozen=True)
class _Part:
    """One source, read and converted; a row's number in its source is the last part of its id."""

    split: str
    table: Table
    rows: list[tuple[int, Record]]
    preferences: list[Preference]
    refused: list[RefusedRow]


def sources_of(task: Task, base: Path) -> dict[str, str]:
    """Digest of each source a task reads, by its role.

    Raises:
        BadInput: A source is missing.
    """
    named = {name: getattr(task.data, name) for name in _SPLITS} | {"preferences": task.preferences}
    return {role: source_digest(source, base) for role, source in named.items() if source}


def read_texts(source: str, base: Path) -> list[Text]:
    """Running text, one record a row: the column ``text``, or the only column that holds texts.

    Raises:
        BadInput: The source cannot be read, or it is not clear which column is the text.
    """
    table = read(source, base)
    columns = Columns(input=("text",)) if "text" in table.columns else Columns()
    if not columns.input:
        texts = [name for name in table.columns if all(isinstance(r.cells.get(name), str) for r in table.rows)]
        if len(texts) != 1:
            raise BadInput("data.no_text", place=source, columns=", ".join(table.columns))
        columns = Columns(input=(texts[0],))
    cells = ((row.number, row.cells.get(columns.input[0])) for row in table.rows)
    return [Text(f"text:{number}", str(text)) for number, text in cells if text is not None and str(text).strip()]


def prepare(task: Task, *, base: Path, seed: int, language: str | None, progress: Progress | None = None) -> Prepared:
    """Reads, checks, converts and splits the rows of a task.

    Args:
        task: What the project file says of it.
        base: Folder that the sources' names start from.
        seed: Fixes how missing splits are cut.
        language: ISO 639-1 code of the data; guessed where None.
        progress: Told how far it is.

    Raises:
        BadInput: A source cannot be read, columns cannot be found, over 5 % of its rows are refused, rows are too few,
            or test holds labels that nothing can learn.
    """
    tell = _Teller(progress)
    _check_sources(task, base)
    given = _with_group(task)
    tables = _tables(task, base, tell)
    reading = guess(tables["train"], given, task.kind)
    tell.step("data.progress_converting")
    parts = {name: _convert(name, table, reading) for name, table in tables.items()}
    names = _cut(parts["train"], reading, task.split, seed, missing=[s for s in _SPLITS if s not in tables])
    splits = _gather(parts, names)
    for name, records in splits.items():
        if not records:
            raise BadInput("data.empty_split", place=(tables.get(name) or tables["train"]).source, split=name)
    unseen = check_labels(splits, reading.kind, task.data.test or task.data.train)
    tell.step("data.progress_language")
    spoken = _spoken(splits["train"], language)
    facts = Facts(
        kind=reading.kind,
        labels=known_labels(splits, reading.kind),
        language=spoken.code,
        unit="group" if reading.columns.group else "row",
    )
    learn, held, extra = _preferences(task, base, reading, parts, names, seed)
    tell.step("data.progress_duplicates")
    everything = [*parts.values(), *extra]
    account = describe(
        facts=facts,
        reading=reading,
        language=spoken,
        splits=splits,
        sources={part.split: (part.table.source, len(part.table.rows), len(part.refused)) for part in everything},
        made={s: len(splits[s]) for s in _SPLITS if s not in tables},
        rule=task.split,
        seed=seed,
        unseen=unseen,
        leaking=_leaking(learn, splits["test"]),
        preferences=(len(learn), len(held)),
    )
    tell.step("data.progress_done")
    refused = [row for part in everything for row in part.refused]
    return Prepared(facts, splits, learn, refused, account, reading.columns, held)


def _check_sources(task: Task, base: Path) -> None:
    """Refuses two splits that are one file: what is tested would be what was learnt.

    Raises:
        BadInput: They are, or a source is missing.
    """
    seen: dict[str, str] = {}
    for role, digest in sources_of(task, base).items():
        if role not in _SPLITS or is_on_hub(source := getattr(task.data, role), base):
            continue
        if digest in seen:
            raise BadInput("data.same_source", place=source, split=role, other=seen[digest])
        seen[digest] = role


class _Teller:
    """Says how far preparing is, in its own steps."""

    STEPS = 5

    def __init__(self, progress: Progress | None) -> None:
        self.progress, self.done = progress, 0

    def step(self, key: str) -> None:
        if self.progress is not None:
            self.progress.update(self.done, self.STEPS, messages.text(key))
        self.done += 1


def _with_group(task: Task) -> Columns:
    """The columns as given; ``split.by`` and ``columns.group`` name the same thing."""
    by, group = task.split.by, task.columns.group
    if by and group and by != group:
        raise BadInput("data.two_groups", place=task.name, by=by, group=group)
    update: dict[str, str | None] = {"group": by or group}
    if task.preferences is not None:
        # These name columns of the preferences' own file.
        update |= {"prompt": None, "chosen": None, "rejected": None}
    return task.columns.model_copy(update=update)


def _tables(task: Task, base: Path, tell: _Teller) -> dict[SplitName, Table]:
    """The source of each split that has one; a data set of the hub brings its own splits."""
    tell.step("data.progress_reading")
    named: dict[SplitName, str | None] = {
        "train": task.data.train,
        "validation": task.data.validation,
        "test": task.data.test,
    }
    if is_on_hub(task.data.train, base):
        named = {name: source or (task.data.train if name in own_splits(task.data.train) else None)
                 for name, source in named.items()}  # fmt: skip
    return {name: read(source, base, name) for name, source in named.items() if source}


def _convert(split: str, table: Table, reading: Reading) -> _Part:
    """Every row as a record or a refusal.

    Raises:
        BadInput: A column is missing, or over 5 % of the rows are refused.
    """
    columns = reading.columns
    check(table, columns)
    part = _Part(split, table, [], [], [])
    for row in table.rows:
        id = f"{split}:{row.number}"
        try:
            if reading.preference:
                preference = to_preference(row.cells, columns, id)
                part.preferences.append(preference)
                record: Record = Pair(id, preference.prompt, preference.chosen, preference.group)
            else:
                record = to_record(row.cells, reading.kind, columns, id)
        except Refusal as refusal:
            part.refused.append(
                RefusedRow(file=table.source, line=row.line, split=split, key=refusal.key, facts=refusal.facts)
            )
        else:
            part.rows.append((row.number, record))
    check_refused(part.refused, table)
    return part


def _cut(
    train: _Part, reading: Reading, rule: SplitRule, seed: int, missing: Sequence[SplitName]
) -> dict[int, SplitName]:
    """The split of each row of the train source, by its number."""
    strata = reading.kind in ("classification", "relation-extraction")
    tagged = reading.kind == "token-classification"
    grouped = reading.columns.group is not None
    # Tags are no strata, but a group that holds the last of a tag must stay in train.
    labelled = strata or (tagged and grouped)
    placed = [
        Placed(number, tuple(sorted(labels_of(record))) if labelled else (), record.group if grouped else None)
        for number, record in train.rows
    ]
    names = assign(placed, missing, rule, seed, train.table.source)
    return {row.number: name for row, name in zip(placed, names, strict=True)}


def _gather(parts: dict[SplitName, _Part], names: dict[int, SplitName]) -> dict[SplitName, list[Record]]:
    """Records by split, those cut from train renamed after where they went."""
    splits: dict[SplitName, list[Record]] = {name: [] for name in _SPLITS}
    for name, part in parts.items():
        for number, record in part.rows:
            split = names[number] if name == "train" else name
            splits[split].append(_renamed(record, f"{split}:{number}"))
    return splits


def _renamed(record: Any, id: str) -> Any:
    return record if record.id == id else replace(record, id=id)


def _spoken(records: Sequence[Record], language: str | None) -> Language:
    if language is not None:
        return Language(language, "", Because(key="data.why_given"))
    guessed = guess_language([input_text(record) for record in records])
    if guessed.code == "und":
        # Code, names, numbers: what is written about them tells more.
        guessed = guess_language([output_text(record) for record in records])
    return guessed


def _preferences(
    task: Task,
    base: Path,
    reading: Reading,
    parts: dict[SplitName, _Part],
    names: dict[int, SplitName],
    seed: int,
) -> tuple[list[Preference], list[Preference], list[_Part]]:
    """Pairs to learn from, pairs held out, and the source they came from where it is one of its own."""
    if task.preferences is not None:
        table = read(task.preferences, base)
        own = guess_preferences(table, task.columns)
        part = _convert("preferences", table, own)
        learn, held = _held_out(part, task.split, seed)
        return learn, held, [part]
    by_split: dict[SplitName, list[Preference]] = {name: [] for name in _SPLITS}
    for name, part in parts.items():
        for preference in part.preferences:
            number = int(preference.id.partition(":")[2])
            split = names[number] if name == "train" else name
            by_split[split].append(_renamed(preference, f"{split}:{number}"))
    return by_split["train"], by_split["validation"], []


def _held_out(part: _Part, rule: SplitRule, seed: int) -> tuple[list[Preference], list[Preference]]:
    """Part of the pairs for validation, the answers to one prompt kept together; none where there are few."""
    placed = [Placed(int(p.id.partition(":")[2]), (), normalised(p.prompt)) for p in part.preferences]
    prompts = {row.group for row in placed}
    if len(placed) < FEWEST or len(prompts) < 2:
        return part.preferences, []
    names = assign(placed, ["validation"], rule, seed, part.table.source)
    sides: dict[SplitName, list[Preference]] = {name: [] for name in _SPLITS}
    for preference, name in zip(part.preferences, names, strict=True):
        sides[name].append(preference)
    return sides["train"], sides["validation"]


def _leaking(preferences: Sequence[Preference], test: Sequence[Record]) -> list[str]:
    """Preferences whose prompt is the input of a test row."""
    asked = Counter(normalised(input_text(record)) for record in test)
    return [preference.id for preference in preferences if normalised(preference.prompt) in asked]
