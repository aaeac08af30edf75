"""``escalade adapt``: one candidate on one rung, evaluated on validation."""

from __future__ import annotations

from pathlib import Path

import click

from escalade import messages
from escalade.cli import console
from escalade.cli._project import OpenTask, check_task
from escalade.climb.steps import attempt_names
from escalade.errors import BadInput
from escalade.values import Refused


@click.command(help="help.adapt")
@click.argument("rung")
@click.argument("base")
@click.option("--project", "path", type=click.Path(path_type=Path), default=Path("."), help="help.project_path")
@click.option("--task", help="help.task")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(rung: str, base: str, path: Path, task: str | None, as_json: bool) -> None:
    """RUNG and BASE as the ladder names them, for instance `full scratch:encoder:tiny`."""
    reporter = console.ConsoleReporter(quiet=as_json)
    with console.stoppable() as asked:
        found = check_task(path, task, reporter)
        known = attempt_names(found.checked.prepared.facts.kind, found.checked.bases)
        name = f"{rung} {base}"
        if name not in known:
            raise BadInput("cli.no_such_attempt", place=name, known=", ".join(known))
        opened = found.open()
        opened.space.interrupted = asked.is_set
        wanted = next((p for p in opened.steps.planned() if p.name == name), None)
        if wanted is None or wanted.refused:
            refused = wanted.refused if wanted else None
            raise BadInput("cli.rung_refused", place=name, reason=_reason(opened, base, refused))
        adapted = opened.steps.adapt(wanted, [])
        graded = opened.steps.grade(adapted.model, "validation")
    reporter.close()
    scores = [s.to_json() for s in graded.evaluation.scores]
    if as_json:
        said = {"name": wanted.name, "run": adapted.run, "model": adapted.model.to_json(), "scores": scores}
        console.print_json(said | {"seconds": adapted.seconds, "executed": len(opened.space.ledger.executed)})
        return
    console.print_table(console.score_headings("validation"), console.score_rows(scores), wanted.name)
    console.print_text(messages.text("cli.model_at", path=opened.space.ledger.path(adapted.model.artifact)))


def _reason(opened: OpenTask, base: str, refused: Refused | None) -> str:
    """Why an attempt is not for this task: its rung, its base, or no preferences to learn from."""
    found = refused or next((r for r in opened.steps.shortlist.refused if r.name == base), None)
    return found.reason if found else messages.text("rungs.no_preferences")
