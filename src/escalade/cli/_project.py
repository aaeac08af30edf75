"""What the single-stage verbs share: the project, its first stages, and one task of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from escalade import climb
from escalade import project as projects
from escalade.climb.run import open_steps
from escalade.climb.steps import TaskSteps
from escalade.errors import BadInput
from escalade.project import Project
from escalade.stages.check import Checked
from escalade.stages.workspace import Reporter, Workspace, open_workspace


@dataclass
class OpenTask:
    """A task of a project with its first stages done."""

    project: Project
    space: Workspace
    checked: Checked
    steps: TaskSteps


def open_task(path: Path, name: str | None, reporter: Reporter) -> OpenTask:
    """Checks a project and does ingest, profile and select of one task (the first where none is named).

    Raises:
        BadInput: The project has no such task, or something else is wrong.
    """
    project = projects.load(path)
    root = (path if path.is_dir() else path.parent).resolve()
    space = open_workspace(root, reporter)
    names = [task.name for task in project.tasks]
    if name is not None and name not in names:
        raise BadInput("cli.task_unknown", place="--task", name=name, known=", ".join(names))
    checked = climb.check(space, project)[names.index(name) if name else 0]
    steps = open_steps(project, space, checked)
    return OpenTask(project, space, checked, steps)
