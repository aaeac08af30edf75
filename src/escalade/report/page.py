"""The page: one file that holds its style and pictures, runs nothing and loads nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from escalade import messages
from escalade.document import RunDocument, TaskDocument
from escalade.ledger import Ledger
from escalade.ledger.files import write
from escalade.project import Project
from escalade.report import checks, costs, format
from escalade.report.checks import Check
from escalade.report.examples import ExamplesView, examples_view
from escalade.report.ladder import LadderView, ladder_view
from escalade.report.lineage import lineage
from escalade.report.rows import DataView, data_view
from escalade.report.verdict import VerdictView, headline, verdict_view

FILE = "report.html"
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class TaskView:
    """Everything shown of one task."""

    anchor: str
    name: str
    kind: str
    verdict: VerdictView
    ladder: LadderView
    data: DataView
    examples: ExamplesView | None
    checks: tuple[Check, ...]
    records: tuple[Check, ...]


def write_report(root: Path, document: RunDocument, ledger: Ledger, project: Project) -> Path:
    """Writes ``report.html`` into the project's folder and returns its path.

    The same document, ledger and language give the same bytes; a reader sees the old page or the new one, never half.

    Raises:
        Damaged: A run of the ledger that a number comes from was edited.
    """
    path = root / FILE
    root.mkdir(parents=True, exist_ok=True)
    write(path, page(root, document, ledger, project).encode("utf-8"))
    return path


def page(root: Path, document: RunDocument, ledger: Ledger, project: Project) -> str:
    """The page as text."""
    tasks = [_task(i, task, document, ledger) for i, task in enumerate(document.tasks, start=1)]
    return _template().render(
        t=messages.text,
        language=messages.language(),
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        title=format.shorten(project.name, 80),
        headline=headline(document.verdict),
        tasks=tasks,
        general=checks.general_checks(),
        costs=costs.by_stage(ledger),
        spent=costs.spent(document, project),
        versions=costs.versions(ledger, project),
        project_text=costs.project_text(root, project),
    )


def _task(number: int, task: TaskDocument, document: RunDocument, ledger: Ledger) -> TaskView:
    name = f"task-{number}"
    found = lineage(task, document, ledger)
    return TaskView(
        anchor=name,
        name=task.name,
        kind=task.kind,
        verdict=verdict_view(task, document, name),
        ladder=ladder_view(task, document, name),
        data=data_view(task, found, ledger, name),
        examples=examples_view(found.test, task.target.metric, ledger),
        checks=tuple(checks.checks_of(task, document, found, ledger)),
        records=tuple(checks.records_of(task, document, ledger)),
    )


@cache
def _template() -> Template:
    environment = ImmutableSandboxedEnvironment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader(_HERE),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html")
