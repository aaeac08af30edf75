"""What it took, what it was made with, and the project file that asked for it."""

from __future__ import annotations

import math
import platform
from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

from escalade import messages
from escalade import project as projects
from escalade.document import RunDocument
from escalade.ledger import Ledger, Run
from escalade.project import Project
from escalade.report import format
from escalade.report.lineage import used_runs
from escalade.report.parts import Fact, Table, number, table, words


def spent(document: RunDocument, project: Project) -> list[Fact]:
    """What this run took, and what the budget allowed."""
    facts = [
        Fact(
            messages.text("report.this_run"),
            format.seconds(document.seconds),
            messages.text("report.executed", executed=document.executed),
        )
    ]
    adapting = math.fsum(a.measured.seconds for a in document.attempts if a.measured)
    facts.append(Fact(messages.text("report.attempts_took"), format.seconds(adapting)))
    if project.budget.time is not None:
        facts.append(Fact(messages.text("report.budget"), format.seconds(project.budget.time)))
    return facts


def by_stage(ledger: Ledger) -> Table:
    """Seconds and memory by stage, dearest first, over every run the page rests on."""
    stages: dict[str, list[Run]] = defaultdict(list)
    for run in used_runs(ledger).values():
        stages[run.stage].append(run)
    columns = [
        words(messages.text("report.stage")),
        number(messages.text("report.runs")),
        number(messages.text("report.time")),
        number(messages.text("report.memory")),
    ]
    ranked = sorted(stages.items(), key=lambda item: (-_seconds(item[1]), item[0]))
    lines = [
        [words(stage), number(str(len(runs))), number(format.seconds(_seconds(runs))), number(_peak(runs))]
        for stage, runs in ranked
    ]
    every = [run for runs in stages.values() for run in runs]
    total = [words(messages.text("report.total")), number(str(len(every))), number(format.seconds(_seconds(every)))]
    return table(messages.text("report.costs_caption"), columns, [*lines, [*total, number(_peak(every))]])


def versions(ledger: Ledger, project: Project) -> list[Fact]:
    """What the numbers were made with."""
    recorded: dict[str, set[str]] = defaultdict(set)
    for run in used_runs(ledger).values():
        for name, said in run.packages.items():
            recorded[name].add(said)
    packages = {name: ", ".join(sorted(said)) for name, said in sorted(recorded.items())}
    known = {"Python": platform.python_version(), "escalade": _own_version(), **packages}
    facts = [Fact(name, said) for name, said in known.items()]
    return [Fact(messages.text("report.seed"), str(project.seed)), *facts]


def project_text(root: Path, project: Project) -> str:
    """The project file as it stands, or what it would say."""
    file = root / projects.FILE
    if file.is_file():
        return format.clean(file.read_text(encoding="utf-8", errors="replace"))
    said = project.model_dump(mode="json", exclude_defaults=True)
    return format.clean(yaml.safe_dump(said, allow_unicode=True, sort_keys=False))


def _seconds(runs: Iterable[Run]) -> float:
    return math.fsum(run.measured.seconds for run in runs)


def _peak(runs: Iterable[Run]) -> str:
    return format.size(max((r.measured.peak_bytes for r in runs if r.measured.peak_bytes is not None), default=None))


def _own_version() -> str:
    try:
        return version("escalade")
    except PackageNotFoundError:
        return format.ABSENT
