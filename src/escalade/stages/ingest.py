"""ingest: sources in, records by split out, with an account of every row that is not among them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from escalade import data, messages
from escalade.data.read import is_on_hub, source_digest
from escalade.ledger import Bench, Run
from escalade.project import Task
from escalade.records import RECORD_OF, Preference, Record
from escalade.stages.workspace import Workspace
from escalade.values import Data, Facts, Split, SplitName, digest_of

VERSION = 1
RECORDS = "records.jsonl"
REFUSED = "refused.jsonl"


def ingest(space: Workspace, task: Task, *, seed: int, language: str | None) -> tuple[Data, Run]:
    """Reads, checks and splits a task's rows.

    Identity: the sources' content, columns, kind, split rule, seed and language; never the target or the name.
    """
    inputs = {
        "sources": digest_of(data.sources_of(task, space.root)),
        "reading": digest_of(
            task.model_dump(mode="json", include={"kind", "columns", "split"}) | {"language": language}
        ),
        "seed": seed,
    }

    def work(bench: Bench) -> Data:
        prepared = data.prepare(task, base=space.root, seed=seed, language=language)
        tell(space, task, prepared)
        splits = {name: _keep(bench, name, records) for name, records in prepared.splits.items()}
        preferences = _keep_preferences(bench, prepared)
        account = _keep_account(bench, prepared)
        if prepared.refused:
            listed = space.ledger.path(account) / REFUSED
            space.reporter.say("stages.rows_refused", task=task.name, count=len(prepared.refused), file=listed)
        return Data(
            facts=prepared.facts,
            train=splits["train"],
            validation=splits["validation"],
            test=splits["test"],
            preferences=preferences,
            account=account,
        )

    run = space.ledger.perform("ingest", VERSION, inputs, work)
    return Data.model_validate_json(json.dumps(run.output)), run


def test_rows(space: Workspace, task: Task, data: Data) -> str:
    """What looks at the test rows are counted by: their own digest, or that of the source they were cut from."""
    if task.data.test is not None or is_on_hub(task.data.train, space.root):
        return data.test.digest
    return source_digest(task.data.train, space.root)


def records_of(space: Workspace, split: Split, facts: Facts) -> list[Record]:
    """The records of a split."""
    return data.load(space.ledger.path(split.digest) / RECORDS, RECORD_OF[facts.kind])


def preferences_of(space: Workspace, split: Split) -> tuple[list[Preference], list[Preference]]:
    """The preference pairs to learn from, and those held out."""
    folder = space.ledger.path(split.digest)
    held = folder / "validation.jsonl"
    return data.load(folder / RECORDS, Preference), data.load(held, Preference) if held.exists() else []


def tell(space: Workspace, task: Task, prepared: data.Prepared) -> None:
    """Says what was read and how it was understood."""
    say, facts = space.reporter.say, prepared.facts
    rows = {name: len(records) for name, records in prepared.splits.items()}
    say("stages.read", task=task.name, kind=facts.kind, language=facts.language, **rows)
    columns = prepared.columns.model_dump(exclude_defaults=True)
    shown = ", ".join(f"{k}={'+'.join(v) if isinstance(v, list | tuple) else v}" for k, v in columns.items())
    say("stages.columns", task=task.name, columns=shown)
    for pair in prepared.account["duplicates"]["between"]:
        if (pair["first"], pair["second"]) == ("train", "test") and pair["same"] + pair["near"]:
            say("stages.duplicates", task=task.name, exact=pair["same"], near=pair["near"])
    unseen = prepared.account.get("unseen_labels") or []
    if unseen:
        say("stages.unseen_labels", task=task.name, labels=", ".join(map(str, unseen)))


def _keep(bench: Bench, name: SplitName, records: Sequence[Record]) -> Split:
    folder = bench.new(name)
    data.save(records, folder / RECORDS)
    groups = {record.group if record.group is not None else record.id for record in records}
    return Split(name=name, digest=bench.keep(folder), rows=len(records), groups=len(groups))


def _keep_preferences(bench: Bench, prepared: data.Prepared) -> Split | None:
    if not prepared.preferences:
        return None
    folder = bench.new("preferences")
    data.save(prepared.preferences, folder / RECORDS)
    if prepared.preference_validation:
        data.save(prepared.preference_validation, folder / "validation.jsonl")
    rows = len(prepared.preferences)
    return Split(name="train", digest=bench.keep(folder), rows=rows, groups=rows)


def _keep_account(bench: Bench, prepared: data.Prepared) -> str:
    folder = bench.new("account")
    write_json(folder / "account.json", prepared.account)
    rows = [row.to_json() | {"reason": messages.in_english(row.key, **row.facts)} for row in prepared.refused]
    lines = [json.dumps(row, ensure_ascii=False, sort_keys=True) for row in rows]
    (folder / REFUSED).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return bench.keep(folder)


def write_json(path: Path, content: object) -> None:
    """JSON with sorted keys, so that the same content is the same bytes."""
    path.write_text(json.dumps(content, ensure_ascii=False, sort_keys=True, indent=1), encoding="utf-8")
