"""``escalade run``: the whole climb."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from click.core import ParameterSource

from escalade import api
from escalade import project as projects
from escalade.catalogue.metrics import card
from escalade.cli import console
from escalade.cli.ladder import show
from escalade.data.read import is_on_hub
from escalade.errors import BadInput
from escalade.ledger import files
from escalade.project import Project
from escalade.values import digest_of

HEADER = "# written by `escalade run --data`"


@click.command(help="help.run")
@click.argument("path", type=click.Path(path_type=Path), default=None, required=False)
@click.option("--data", help="help.run_data")
@click.option("--validation", help="help.run_validation")
@click.option("--test", help="help.run_test")
@click.option("--preferences", help="help.run_preferences")
@click.option("--input", "inputs", multiple=True, help="help.run_input")
@click.option("--output", help="help.run_output")
@click.option("--group", help="help.run_group")
@click.option("--kind", help="help.run_kind")
@click.option("--metric", help="help.run_metric")
@click.option("--target", type=float, help="help.run_target")
@click.option("--candidate", "candidates", multiple=True, help="help.run_candidate")
@click.option("--rung", "rungs", multiple=True, help="help.run_rung")
@click.option(
    "--prompt",
    type=click.Choice(["instruction", "plain"]),
    help="help.run_prompt",
)
@click.option("--budget", help="help.run_budget")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="help.seed")
@click.option("--project", "folder", type=click.Path(path_type=Path), help="help.run_project")
@click.option("--json", "as_json", is_flag=True, help="help.json")
@click.option("--quiet", is_flag=True, help="help.quiet")
@click.pass_context
def command(ctx: click.Context, /, path: Path | None, as_json: bool, quiet: bool, **said: object) -> int:
    """Runs a project file, or makes one from options and runs it."""
    said = {k: v for k, v in said.items() if v not in (None, ())}
    reporter = console.ConsoleReporter(quiet)
    if "data" in said:
        if path is not None:
            raise BadInput("cli.path_and_data", place=path, path=path)
        project, root, text = from_options(said)
    else:
        for param in ctx.command.params:
            if param.name in said and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE:
                raise BadInput("cli.data_or_project", place=param.opts[0], option=param.opts[0])
        file = path or Path(".")
        project = projects.load(file)
        root, text = (file if file.is_dir() else file.parent).resolve(), None
    try:
        with console.stoppable() as asked, _typed(said, root):
            document = api.run_project(
                project,
                root,
                reporter,
                interrupted=asked.is_set,
                on_checked=lambda space: write_project(root, text) if text else None,
            )
    finally:
        reporter.close()
    if as_json:
        console.print_json(document.to_json())
    else:
        show(document)
    return 0 if document.verdict == "met" else 3


def from_options(said: dict[str, object]) -> tuple[Project, Path, str]:
    """The project that options describe, its folder, and its file's text."""
    data = str(said["data"])
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(data.rstrip("/")).name.split(".")[0]).strip("-.") or "task"
    root = Path(str(said["folder"])) if "folder" in said else Path(f"escalade-{stem}")
    root = root.resolve()
    sources = {"train": data} | {k: str(said[k]) for k in ("validation", "test") if k in said}
    task: dict[str, object] = {"name": stem, "data": {k: _from(root, v) for k, v in sources.items()}}
    task |= {name: said[name] for name in ("kind", "prompt") if name in said}
    columns = {k: said[o] for k, o in (("output", "output"), ("group", "group")) if o in said}
    if "inputs" in said:
        columns["input"] = list(said["inputs"])  # type: ignore[call-overload]
    if columns:
        task["columns"] = columns
    if "preferences" in said:
        task["preferences"] = _from(root, str(said["preferences"]))
    if "target" in said:
        if "metric" not in said:
            raise BadInput("cli.need_metric", place="--target")
        task["target"] = _target(str(said["metric"]), said["target"])
    elif "metric" in said:
        task["metric"] = said["metric"]
    project: dict[str, object] = {"name": stem, "seed": said.get("seed", 0), "tasks": [task]}
    if "candidates" in said:
        project["candidates"] = [
            os.path.relpath(str(c), root) if c and Path(str(c)).is_dir() else str(c)
            for c in said["candidates"]  # type: ignore[attr-defined]
        ]
    if "rungs" in said:
        project["rungs"] = list(said["rungs"])  # type: ignore[call-overload]
    if "budget" in said:
        project["budget"] = {"time": said["budget"]}
    return projects.parse(project, place="options"), root, as_yaml(project)


def as_yaml(said: dict[str, object]) -> str:
    """The file's text, in the order it was said, under a line that holds its digest: so that edits are seen."""
    import yaml

    body = yaml.safe_dump(said, allow_unicode=True, sort_keys=False)
    return f"{HEADER} ({_digest(body)}); edit it freely and run `escalade run` in this folder\n{body}"


def _digest(body: str) -> str:
    return digest_of(body).removeprefix("b2:")[:12]


def write_project(root: Path, text: str) -> None:
    """Writes the project file of ``run --data``; one that somebody wrote or edited is never overwritten.

    Raises:
        BadInput: Another project lies there, or this one was edited.
    """
    if root.exists() and not root.is_dir():
        raise BadInput("cli.not_a_folder", place=root)
    file = root / projects.FILE
    if file.exists():
        head, _, body = file.read_text(encoding="utf-8").partition("\n")
        if not head.startswith(HEADER):
            raise BadInput("cli.foreign_project", place=file, path=file, folder=root)
        if f"({_digest(body)})" not in head:
            raise BadInput("cli.edited_project", place=file, folder=root)
    root.mkdir(parents=True, exist_ok=True)
    files.write(file, text.encode())


def _from(root: Path, source: str) -> str:
    """A source as the project file names it: relative to the project's folder where it is a file."""
    return source if not source or is_on_hub(source, Path(".")) else os.path.relpath(source, root)


@contextmanager
def _typed(said: dict[str, object], root: Path) -> Iterator[None]:
    """Errors name files as they were typed, not as the project file has them."""
    try:
        yield
    except BadInput as error:
        for source in (str(said[k]) for k in ("data", "validation", "test", "preferences") if k in said):
            written = _from(root, source)
            if error.place.startswith(written):
                error.place = source + error.place.removeprefix(written)
        raise


def _target(metric: str, bound: object) -> dict[str, object]:
    rising = card(metric, place="--metric").rising
    return {"metric": metric, "at_least" if rising else "at_most": bound}
