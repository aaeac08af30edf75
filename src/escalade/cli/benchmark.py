"""The part of ``escalade evaluate`` that runs public benchmarks."""

from __future__ import annotations

from pathlib import Path

from escalade.cli import console
from escalade.errors import BadInput
from escalade.stages.benchmark import benchmark
from escalade.stages.workspace import open_workspace


def show(model: str, tasks: str, limit: int | None, own: Path | None, as_json: bool) -> None:
    """Runs the tasks and prints their scores.

    Raises:
        BadInput: No task is named, or as for ``stages.benchmark.benchmark``.
    """
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    if not names:
        raise BadInput("cli.no_benchmark", place=f"--benchmark {tasks}")
    if own is not None and not own.is_dir():
        raise BadInput("cli.no_task_folder", place=f"--benchmark-tasks {own}")
    reporter = console.ConsoleReporter(quiet=as_json)
    found = benchmark(open_workspace(Path("."), reporter), model, names, limit, own)
    reporter.close()
    if as_json:
        console.print_json(found)
        return
    rows = []
    for score in found["benchmarks"]:
        value = f"{score['value']:.4f}" if score["lower"] is None else console.interval(score)
        rows.append([score["task"], score["metric"], value, score["n"], score["signature"]])
    columns = ("headings.task", "headings.metric", "headings.value", "headings.items", "headings.signature")
    console.print_table(console.headings(*columns), rows, found["engine"])
