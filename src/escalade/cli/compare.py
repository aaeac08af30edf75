"""``escalade compare``: the paired test between two attempts."""

from __future__ import annotations

from pathlib import Path

import click

from escalade import messages
from escalade.cli import console
from escalade.cli.runs import open_project
from escalade.climb.compare import compare


@click.command(help="help.compare")
@click.argument("a")
@click.argument("b")
@click.option("--metric", help="help.compare_metric")
@click.option("--project", "root", type=click.Path(path_type=Path), default=Path("."), help="help.project")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(a: str, b: str, metric: str | None, root: Path, as_json: bool) -> None:
    """Difference is B minus A, in the metric's own units."""
    found = compare(open_project(root), a, b, metric)
    if as_json:
        console.print_json(found)
        return
    console.print_wrapped(messages.text("cli.compared", **found))
