"""``escalade adapt``: one candidate on one rung, evaluated on validation."""

from __future__ import annotations

from pathlib import Path

import click

from escalade import messages
from escalade.cli import console
from escalade.cli._project import open_task
from escalade.errors import BadInput


@click.command(help="One candidate on one rung, evaluated on validation.")
@click.argument("rung")
@click.argument("base")
@click.option("--project", "path", type=click.Path(path_type=Path), default=Path("."), help="Project folder or file.")
@click.option("--task", help="One task; the first where left out.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(rung: str, base: str, path: Path, task: str | None, as_json: bool) -> None:
    """RUNG and BASE as the ladder names them, for instance `full scratch:encoder:tiny`."""
    reporter = console.ConsoleReporter(quiet=as_json)
    with console.stoppable() as asked:
        opened = open_task(path, task, reporter)
        opened.space.interrupted = asked.is_set
        planned = {p.name: p for p in opened.steps.planned()}
        wanted = planned.get(f"{rung} {base}")
        if wanted is None:
            raise BadInput("cli.no_such_attempt", place=f"{rung} {base}", known=", ".join(planned))
        if wanted.refused:
            raise BadInput("cli.rung_refused", place=wanted.name, reason=wanted.refused.reason)
        adapted = opened.steps.adapt(wanted, [])
        graded = opened.steps.grade(adapted.model, "validation")
    reporter.close()
    scores = [s.to_json() for s in graded.evaluation.scores]
    if as_json:
        said = {"name": wanted.name, "run": adapted.run, "model": adapted.model.to_json(), "scores": scores}
        console.print_json(said | {"seconds": adapted.seconds, "executed": len(opened.space.ledger.executed)})
        return
    rows = [[s["metric"], f"{s['value']:.4f} [{s['lower']:.4f}, {s['upper']:.4f}]", s["signature"]] for s in scores]
    console.print_table(["metric", "validation [95 %]", "signature"], rows, wanted.name)
    console.print_text(messages.text("cli.model_at", path=opened.space.ledger.path(adapted.model.artifact)))
