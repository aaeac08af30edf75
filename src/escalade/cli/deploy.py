"""``escalade deploy``: ship an attempt, through the release gate."""

from __future__ import annotations

from pathlib import Path

import click

from escalade import messages
from escalade.cli import console
from escalade.cli._project import OpenTask, folder_of, open_task
from escalade.cli.runs import open_ledger
from escalade.climb.run import RELEASES, place_release
from escalade.ledger import files
from escalade.stages import attempts
from escalade.stages.deploy import deploy


@click.command(help="help.deploy")
@click.argument("attempt")
@click.option("--project", "path", type=click.Path(path_type=Path), default=Path("."), help="help.project_path")
@click.option("--task", help="help.task")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(attempt: str, path: Path, task: str | None, as_json: bool) -> None:
    """Writes releases/TASK: merged, safetensors, with a model card."""
    reporter = console.ConsoleReporter(quiet=as_json)
    attempts.find(open_ledger(folder_of(path)), attempt)  # refused before anything is done where there is none at all
    opened = open_task(path, task, reporter)
    found = attempts.find(opened.space.ledger, attempt, opened.steps.data.train.digest)
    validation = opened.steps.grade(found.model, "validation").evaluation
    release, _ = deploy(opened.space, found.model, found.base, validation, opened.steps.data, [found.run])
    before = _lying_at(opened)
    folder = place_release(opened.space, release, opened.checked.task.name)
    reporter.close()
    if as_json:
        console.print_json({"release": str(folder), "artifact": release.artifact, "gate": release.gate.to_json()})
        return
    gate = release.gate
    if gate.largest_gap is None:
        console.print_text(messages.text("cli.gate_passed", prompts=gate.prompts))
    else:
        console.print_text(messages.text("cli.gate_passed_within", prompts=gate.prompts, gap=f"{gate.largest_gap:.1g}"))
    console.print_text(messages.text("cli.wrote", path=folder))
    if before is not None and before != release.artifact:
        console.print_wrapped(messages.text("cli.replaced", artifact=before))


def _lying_at(opened: OpenTask) -> str | None:
    """Digest of the release that lies where this one goes."""
    folder = opened.space.root / RELEASES / opened.checked.task.name
    return files.tree_digest(folder) if folder.is_dir() else None
