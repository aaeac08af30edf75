"""``escalade report``: the page of a finished run, from the ledger."""

from __future__ import annotations

from pathlib import Path

import click

from escalade import climb, messages
from escalade import project as projects
from escalade.cli import console
from escalade.cli.runs import open_project
from escalade.report import write_report


@click.command(help="help.report")
@click.argument("path", type=click.Path(path_type=Path), default=Path("."))
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(path: Path, as_json: bool) -> None:
    """Replays the recorded climb; stages that were never run are not run for a report."""
    root = (path if path.is_dir() else path.parent).resolve()
    project = projects.load(path)
    space = open_project(root, console.ConsoleReporter(quiet=as_json))
    document = climb.run(project, space, replay=True)
    report = write_report(root, document, space.ledger, project)
    if as_json:
        console.print_json({"report": str(report), "executed": document.executed})
    else:
        console.print_text(messages.text("cli.wrote", path=report))
