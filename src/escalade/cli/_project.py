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


@dataclass
class CheckedTask:
    """A task of a project that was checked; nothing is written yet."""

    project: Project
    space: Workspace
    checked: Checked

    def open(self) -> OpenTask:
        """Does ingest, profile and select."""
        return OpenTask(self.project, self.space, self.checked, open_steps(self.project, self.space, self.checked))


def check_task(path: Path, name: str | None, reporter: Reporter) -> CheckedTask:
    """Checks a project for one of its tasks (the first where none is named).

    Raises:
        BadInput: The project has no such task, or something else is wrong.
    """
    project = projects.load(path)
    names = [task.name for task in project.tasks]
    if name is not None and name not in names:
        raise BadInput("cli.task_unknown", place=f"--task {name}", name=name, known=", ".join(names))
    space = open_workspace(folder_of(path), reporter)
    return CheckedTask(project, space, climb.check(space, project)[names.index(name) if name else 0])


def open_task(path: Path, name: str | None, reporter: Reporter) -> OpenTask:
    """Checks a project and does ingest, profile and select of one of its tasks."""
    return check_task(path, name, reporter).open()


def folder_of(path: Path) -> Path:
    """The project's folder, named by itself or by its file."""
    return (path if path.is_dir() else path.parent).resolve()
