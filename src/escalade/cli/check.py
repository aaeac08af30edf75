"""``escalade check``: what is wrong, before anything is run."""

from __future__ import annotations

import json
from pathlib import Path

import click

from escalade import climb, messages
from escalade import project as projects
from escalade.cli import console
from escalade.stages.check import Checked
from escalade.stages.workspace import open_workspace


@click.command(help="help.check")
@click.argument("path", type=click.Path(path_type=Path), default=Path("."))
@click.option("--schema", is_flag=True, help="help.check_schema")
@click.option("--document-schema", is_flag=True, help="help.check_document_schema")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(path: Path, schema: bool, document_schema: bool, as_json: bool) -> None:
    """Reads the project, its rows and its candidates."""
    if schema:
        console.print_text(json.dumps(projects.schema(), indent=1, ensure_ascii=False))
        return
    if document_schema:
        from escalade.document import RunDocument

        console.print_text(json.dumps(RunDocument.model_json_schema(), indent=1, ensure_ascii=False))
        return
    project = projects.load(path)
    root = (path if path.is_dir() else path.parent).resolve()
    found = climb.check(open_workspace(root, console.ConsoleReporter(quiet=as_json)), project)
    if as_json:
        console.print_json({"project": str(root), "tasks": [as_document(one) for one in found]})
        return
    for one in found:
        said = as_document(one)
        candidates = ", ".join(base.name for base in one.bases) or "-"
        splits = {name: len(records) for name, records in one.prepared.splits.items()}
        console.print_wrapped(messages.text("cli.checked", **said | splits | {"candidates": candidates}))


def as_document(checked: Checked) -> dict[str, object]:
    """What a check found of one task."""
    splits = {name: len(records) for name, records in checked.prepared.splits.items()}
    return {
        "name": checked.task.name,
        "kind": checked.prepared.facts.kind,
        "metric": checked.metric.name,
        "language": checked.prepared.facts.language,
        "labels": list(checked.prepared.facts.labels),
        "columns": checked.prepared.columns.model_dump(mode="json", exclude_defaults=True),
        "rows": splits,
        "refused": len(checked.prepared.refused),
        "candidates": [base.name for base in checked.bases],
    }
