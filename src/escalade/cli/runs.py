"""``escalade runs``: what happened."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from escalade import messages
from escalade.cli import console
from escalade.cli.usage import Chooser
from escalade.errors import BadInput, Damaged
from escalade.ledger import Ledger, Run
from escalade.ledger.share import pull, push
from escalade.stages.workspace import Reporter, Workspace, open_workspace


@click.group(cls=Chooser, invoke_without_command=True, help="help.runs")
@click.pass_context
def command(ctx: click.Context) -> None:
    """The verbs of the ledger."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


_where = click.option("--project", "root", type=click.Path(path_type=Path), default=Path("."), help="help.project")
_json = click.option("--json", "as_json", is_flag=True, help="help.json")


def open_ledger(root: Path) -> Ledger:
    """The ledger of a project folder.

    Raises:
        BadInput: There is none.
    """
    if not (root / ".escalade").is_dir():
        raise BadInput("ledger.none_here", place=root)
    return Ledger(root / ".escalade")


def open_project(root: Path, reporter: Reporter | None = None) -> Workspace:
    """The workspace of a project folder that has a ledger.

    Raises:
        BadInput: It has none.
    """
    open_ledger(root)
    return open_workspace(root, reporter)


@command.command("list", help="help.runs_list")
@_where
@_json
def list_runs(root: Path, as_json: bool) -> None:
    """Id, stage, start and time of each run."""
    runs = open_ledger(root).runs()
    if as_json:
        console.print_json({"runs": [_short(run, _names(runs)) for run in runs]})
        return
    names = console.headings("headings.id", "headings.stage", "headings.of", "headings.started", "headings.seconds")
    made = _names(runs)
    rows = [
        [r.id[3:13], r.stage, _what(r, made), r.started[:16].replace("T", " "), f"{r.measured.seconds:.1f}"]
        for r in runs
    ]
    console.print_table(names, rows)


@command.command("show", help="help.runs_show")
@click.argument("id")
@_where
@_json
def show_run(id: str, root: Path, as_json: bool) -> None:
    """The record of the run whose id begins with ID."""
    ledger = open_ledger(root)
    fitting = [run for run in ledger.runs() if run.id.removeprefix("b2:").startswith(id.removeprefix("b2:"))]
    if len(fitting) != 1:
        raise BadInput("ledger.no_such_run", place=id, id=id, count=len(fitting))
    events = [{"time": when, "event": kind} | facts for when, kind, facts in ledger.index.events(fitting[0].id)]
    if as_json:
        console.print_json(fitting[0].to_json() | {"events": events})
        return
    console.print_text(json.dumps(fitting[0].to_json(), indent=1, ensure_ascii=False))
    for event in events[-20:]:
        console.print_text(json.dumps(event, ensure_ascii=False))


@command.command("verify", help="help.runs_verify")
@_where
@_json
def verify(root: Path, as_json: bool) -> int:
    """Lists edited runs, changed and deleted artifacts, edited notes."""
    ledger = open_ledger(root)
    faults = ledger.verify()
    counts = {"runs": len(ledger.runs()), "artifacts": len(list(ledger.artifacts()))}
    if as_json:
        console.print_json({"faults": [dataclasses.asdict(fault) for fault in faults]} | counts)
    elif faults:
        console.print_table(
            console.headings("headings.of", "headings.name", "headings.problem"),
            [[f.what, f.name, f.problem] for f in faults],
        )
    else:
        console.print_text(messages.text("cli.no_faults", **counts))
    return Damaged.exit_code if faults else 0


@command.command("gc", help="help.runs_gc")
@_where
@_json
def gc(root: Path, as_json: bool) -> None:
    """Artifacts of no run, leftovers of killed writes."""
    gone = open_ledger(root).gc()
    if as_json:
        console.print_json({"deleted": gone})
    else:
        console.print_text(messages.text("ledger.collected", count=len(gone)))


@command.command("rebuild", help="help.runs_rebuild")
@_where
@_json
def rebuild(root: Path, as_json: bool) -> None:
    """The files are the truth."""
    count = open_ledger(root).rebuild()
    if as_json:
        console.print_json({"runs": count})
    else:
        console.print_text(messages.text("ledger.rebuilt", count=count))


@command.command("push", help="help.runs_push")
@click.argument("address")
@_where
@_json
def push_runs(address: str, root: Path, as_json: bool) -> None:
    """Immutable objects; what is there already is left alone."""
    _shared(push(open_ledger(root), address), as_json)


@command.command("pull", help="help.runs_pull")
@click.argument("address")
@_where
@_json
def pull_runs(address: str, root: Path, as_json: bool) -> None:
    """Makes the ledger where there is none."""
    _shared(pull(Ledger(root / ".escalade"), address), as_json)


def _shared(count: int, as_json: bool) -> None:
    if as_json:
        console.print_json({"copied": count})
    else:
        console.print_text(messages.text("ledger.copied", count=count))


def _short(run: Run, made: Mapping[str, str]) -> dict[str, object]:
    said = run.to_json()
    kept = {k: said[k] for k in ("id", "stage", "version", "started", "output_digest", "parents", "measured")}
    return kept | {"what": _what(run, made)}


def _names(runs: Sequence[Run]) -> dict[str, str]:
    """What each artifact that answers is called: the attempt it was made as, or the release of one."""
    found = {r.output["artifact"]: _attempt(r) for r in runs if r.stage == "adapt"}
    shipped = [r for r in runs if r.stage == "deploy"]
    return found | {r.output["artifact"]: _released(r, found) for r in shipped}


def _what(run: Run, made: Mapping[str, str]) -> str:
    if run.stage in ("adapt", "forecast"):
        return _attempt(run)
    if run.stage == "likelihood":
        return str(run.inputs["base"]["name"])
    if run.stage == "forgetting":
        return made.get(run.inputs["model"], "?")
    if run.stage == "evaluate":
        return f"{made.get(run.inputs['model'], '?')}, {run.inputs['split']['name']}"
    if run.stage == "pretrain":
        return f"{run.inputs['family']} {run.inputs['size'] or ''}".strip()
    return _released(run, made) if run.stage == "deploy" else ""


def _attempt(run: Run) -> str:
    situation = run.inputs.get("situation") or run.inputs
    return f"{run.inputs['rung']['name']} {situation['base']['name']}"


def _released(run: Run, made: Mapping[str, str]) -> str:
    return messages.text("cli.release_of", name=made.get(run.inputs["model"]["artifact"], "?"))
