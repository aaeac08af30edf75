"""``escalade select``: which candidates suit the task, and why the others do not."""

from __future__ import annotations

from pathlib import Path

import click

from escalade import messages
from escalade.catalogue.rungs import RUNGS
from escalade.cli import console
from escalade.cli._project import open_task


@click.command(help="help.select")
@click.argument("path", type=click.Path(path_type=Path), default=Path("."))
@click.option("--task", help="help.task")
@click.option("--explain", is_flag=True, help="help.select_explain")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(path: Path, task: str | None, explain: bool, as_json: bool) -> None:
    """Pins every candidate by its content."""
    reporter = console.ConsoleReporter(quiet=as_json)
    shortlist = open_task(path, task, reporter).steps.shortlist
    if as_json:
        said = shortlist.to_json()
        said["refused"] = [{"name": r.name, "reason": r.reason} for r in shortlist.refused]
        console.print_json(said)
        return
    rows = [
        [b.name, b.family, b.source, f"{b.parameters:,}" if b.parameters else "", b.context or "", b.license or ""]
        for b in shortlist.bases
    ]
    names = console.headings(
        "headings.base",
        "headings.family",
        "headings.source",
        "headings.parameters",
        "headings.context",
        "headings.licence",
    )
    console.print_table(names, rows)
    for refused in shortlist.refused:
        console.print_wrapped(messages.text("cli.refused", name=refused.name, reason=refused.reason))
    if explain:
        cards = [[c.name, c.what, c.when, c.strengths, c.limits, c.paper] for c in RUNGS.values()]
        console.print_text("")
        console.print_cards(
            console.headings(
                "headings.rung",
                "headings.what",
                "headings.when",
                "headings.strengths",
                "headings.limits",
                "headings.paper",
            ),
            cards,
        )
