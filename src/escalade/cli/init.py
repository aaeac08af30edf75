"""``escalade init``: a project file for your rows, with its JSON schema beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from escalade import data, messages
from escalade import project as projects
from escalade.cli import console
from escalade.errors import BadInput

SCHEMA = "escalade.schema.json"


@click.command(help="help.init")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("."))
@click.option("--data", "source", help="help.init_data")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(folder: Path, source: str | None, as_json: bool) -> None:
    """Never overwrites a project file."""
    if folder.exists() and not folder.is_dir():
        raise BadInput("cli.not_a_folder", place=folder)
    file = folder / projects.FILE
    if file.exists():
        raise BadInput("cli.exists", place=file, path=file)
    text = _example() if source is None else _guessed(folder, source)
    projects.parse(_parsed(text), place=str(file))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SCHEMA).write_text(json.dumps(projects.schema(), indent=1, ensure_ascii=False), encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    if as_json:
        console.print_json({"project": str(file), "schema": str(folder / SCHEMA)})
    else:
        console.print_text(messages.text("cli.wrote", path=file))


def _guessed(folder: Path, source: str) -> str:
    """The file for rows that are at hand: what was guessed stands where it can be mended."""
    relative = os.path.relpath(source, folder) if Path(source).exists() else source
    task = projects.Task.model_validate({"name": "task", "data": source})
    prepared = data.prepare(task, base=Path("."), seed=0, language=None)
    columns = prepared.columns.model_dump(mode="json", exclude_defaults=True)
    return _example(relative, prepared.facts.kind, columns, prepared.facts.language)


def _example(
    source: str = "rows.csv",
    kind: str = "classification",
    columns: dict[str, object] | None = None,
    language: str = "en",
) -> str:
    columns = columns if columns is not None else {"input": ["text"], "output": "label"}
    return f"""# yaml-language-server: $schema=./{SCHEMA}
name: my-project
seed: 0
language: {language}
tasks:
  - name: task
    kind: {kind}
    data: {json.dumps(source, ensure_ascii=False)}
    columns: {json.dumps(columns, ensure_ascii=False)}
    # target: {{metric: accuracy, at_least: 0.9, confidence: 0.95}}   # left out: to beat the best baseline
candidates: [scratch]        # folders, hub names, scratch[:FAMILY[:SIZE]], {{model: NAME, api: URL, key_env: VARIABLE}}
budget: {{time: 10m}}
"""


def _parsed(text: str) -> dict[str, object]:
    import yaml

    said: dict[str, object] = yaml.safe_load(text)
    return said
