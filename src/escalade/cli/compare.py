"""``escalade compare``: the paired test between attempts, or between files of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from escalade import messages
from escalade import project as projects
from escalade.cli import console
from escalade.cli._project import open_task
from escalade.cli.runs import open_project
from escalade.climb.compare import compare
from escalade.errors import BadInput
from escalade.evaluate import Comparison, text_compare
from escalade.evaluate.read_texts import read_several, read_texts, source
from escalade.stages.helpers import know_own_of


@click.command(help="help.compare")
@click.argument("names", nargs=-1, required=True, metavar="A B...")
@click.option("--metric", "metrics", multiple=True, help="help.compare_metric")
@click.option("--references", multiple=True, help="help.compare_references")
@click.option("--groups", help="help.compare_groups")
@click.option("--lang", "--language", "language", help="help.score_language")
@click.option("--task", help="help.task")
@click.option("--project", "root", type=click.Path(path_type=Path), default=Path("."), help="help.project")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(
    names: tuple[str, ...],
    metrics: tuple[str, ...],
    references: tuple[str, ...],
    groups: str | None,
    language: str | None,
    task: str | None,
    root: Path,
    as_json: bool,
) -> None:
    """Differences are those of B, and of each further one, minus A, in the metric's own units."""
    if len(names) < 2:
        raise BadInput("cli.need_two", place=names[0])
    if not references:
        space = open_project(root)
        if (root / projects.FILE).exists():
            know_own_of(projects.load(root), root)
        data = open_task(root, task, console.ConsoleReporter(quiet=True)).steps.data.train.digest if task else None
        found = compare(space, names, metrics, data)
    else:
        found = _texts(names, references, groups, metrics, language)
    if as_json:
        made = [one.to_json() for one in found]
        console.print_json(made[0] | {"split": None if references else "validation", "comparisons": made})
    else:
        show(found)


def _texts(
    names: Sequence[str], references: Sequence[str], groups: str | None, metrics: Sequence[str], language: str | None
) -> list[Comparison]:
    """Files of predictions, each read beside the references."""
    wanted_from = [source(each) for each in references]
    read = {name: read_several(source(name), wanted_from) for name in names}
    wanted = next(iter(read.values()))[1]
    grouped = read_texts(*source(groups)) if groups else None
    return text_compare({name: said for name, (said, _) in read.items()}, wanted, metrics, language, groups=grouped)


def show(found: Sequence[Comparison]) -> None:
    """The sentence of each comparison, who won how often, and the difference slice by slice."""
    for one in found:
        console.print_wrapped(one.sentence)
        counts = {"wins": one.paired.wins, "ties": one.paired.ties, "losses": one.paired.losses}
        console.print_wrapped(messages.text("cli.compared_items", **counts))
        rows = [[s.by, s.name, s.n, f"{s.difference:+.4f} [{s.lower:+.4f}, {s.upper:+.4f}]"] for s in one.slices]
        if rows:
            keys = ("headings.slice", "headings.of", "headings.n", "headings.difference")
            console.print_table(console.headings(*keys), rows)
    if len(found) > 1:
        console.print_wrapped(messages.text("cli.compared_holm", count=len(found)))
