"""From a project to the document of its run: check, climb every task, ship what was kept, grade what ships."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from escalade import messages
from escalade.climb.book import LedgerBook, begin
from escalade.climb.decide import Climber, Graded, Outcome, Tried
from escalade.climb.steps import TaskSteps
from escalade.climb.view import attempt_document, reason_of, score_document, target_document
from escalade.document import AttemptDocument, CleanDocument, GateDocument, RunDocument, TaskDocument
from escalade.errors import BadInput
from escalade.evaluate import interval, load_metric
from escalade.ledger import files
from escalade.project import Project
from escalade.stages.check import Checked, check
from escalade.stages.contamination import contamination
from escalade.stages.deploy import deploy
from escalade.stages.evaluate import evaluated_ids
from escalade.stages.ingest import ingest, test_rows
from escalade.stages.profile import profile
from escalade.stages.select import select
from escalade.stages.workspace import Workspace
from escalade.values import Release, Verdict, digest_of

_WORST: tuple[Verdict, ...] = ("no-go", "not met", "not confirmed", "met")
RELEASES = "releases"
RESERVE = 0.1
"""Share of the budget kept for the end: the test split, the release, and its second grading."""


@dataclass
class Shipped:
    """A release and its second grading."""

    release: Release
    folder: Path
    served: Graded


def run(
    project: Project, space: Workspace, checked: Sequence[Checked] | None = None, *, replay: bool = False
) -> RunDocument:
    """Climbs every task of a project and ships the best of each.

    Args:
        project: What is wanted.
        space: Where it is done; its folder is the project's.
        checked: What ``check`` found, where it was asked already.
        replay: Only retell a finished climb; one that is not finished is an error.

    Raises:
        BadInput: Something is wrong with the project, its data or its candidates; nothing was written.
    """
    clock = time.time()
    checked = checked if checked is not None else check(space, project)
    # A key that came later is left out where it says nothing: the clock of older projects goes on.
    unsaid = None if project.metrics else {"metrics"}
    began = begin(space.ledger, digest_of(project.model_dump(mode="json", exclude=unsaid)))
    before = len(space.ledger.executed)
    tasks, attempts = [], []
    for number, one in enumerate(checked):
        space.deadline = _deadline(project, began, number)
        document, tried = _run_task(project, space, one, replay)
        tasks.append(document)
        attempts += tried
    return RunDocument(
        verdict=min((task.verdict for task in tasks), key=_WORST.index),
        executed=len(space.ledger.executed) - before,
        project=str(space.root),
        report=None,
        seconds=time.time() - clock,
        tasks=tuple(tasks),
        attempts=tuple(attempts),
    )


def _deadline(project: Project, began: float, number: int) -> float | None:
    """Each task may use its share of the time, and what the tasks before it left over."""
    if project.budget.time is None:
        return None
    return began + (1 - RESERVE) * project.budget.time * (number + 1) / len(project.tasks)


def open_steps(project: Project, space: Workspace, checked: Checked) -> TaskSteps:
    """The first stages of a task (ingest, profile, select), and what can be done from there."""
    data, ingested = ingest(space, checked.task, seed=project.seed, language=project.language)
    shape, profiled = profile(space, data, ingested)
    shortlist, selected = select(space, checked.bases, data.facts, project.limits, project.use, ingested)
    parents = [ingested, profiled, selected]
    return TaskSteps(space, project, checked.task, data, shape, shortlist, parents, checked.further)


def baselines(project: Project, space: Workspace) -> dict[str, float]:
    """What each baseline of the first task scores on validation, by its name."""
    checked = check(space, project)[0]
    steps = open_steps(project, space, checked)
    found = {}
    for planned in steps.planned():
        if planned.is_baseline:
            graded = steps.grade(steps.adapt(planned, []).model, "validation")
            found[planned.base.name] = graded.evaluation.score(checked.metric.name).value
    return found


def _run_task(
    project: Project, space: Workspace, checked: Checked, replay: bool
) -> tuple[TaskDocument, list[AttemptDocument]]:
    task, metric = checked.task, checked.metric
    steps = open_steps(project, space, checked)
    data, shortlist = steps.data, steps.shortlist
    made_of = next((one.identity for one in checked.further if one.card.name == metric.name), "")
    climb_id = digest_of(
        {
            "data": data.identity,
            "target": task.target.model_dump(mode="json") if task.target else None,
            "metric": metric.name,
            "bases": [base.to_json() for base in checked.bases],
            "project": project.model_dump(mode="json", include={"seed", "rungs", "budget", "limits", "traffic", "use"}),
            "prompt": [task.instruction, task.prompt, task.input_limit],
            "tasks": len(project.tasks),
        }
        # What may be forgotten decides what is kept; where nothing is said, it is no part of the climb.
        | ({"keep": [[s.digest, s.worsen_at_most] for s in steps.samples]} if project.keep else {})
        # What the deciding metric is made of, where its name does not say all of it.
        | ({"metric made of": made_of} if made_of else {})
    )
    book = LedgerBook(space.ledger, climb_id, test_rows(space, task, data), space.deadline)
    if replay and not book.finished:
        raise BadInput("climb.not_finished", place=task.name)
    if book.finished:
        space.deadline = None
    confidence = task.target.confidence if task.target else 0.95
    climber = Climber(steps, book, metric, task.target, confidence, seed=project.seed)
    climber.on_attempt = lambda tried: _tell(space, task.name, tried)
    outcome = climber.climb()
    shipped = _ship(space, steps, outcome, task.name) if outcome.kept else None
    book.finish(outcome)
    attempts = [attempt_document(tried, task.name, data.facts.unit) for tried in outcome.attempts]
    document = TaskDocument(
        name=task.name,
        kind=data.facts.kind,
        verdict=outcome.verdict,
        target=target_document(outcome.target),
        kept=outcome.kept.planned.id if outcome.kept else None,
        test=score_document(outcome.test, outcome) if outcome.test else None,
        clean=_clean(space, steps, outcome) if outcome.test else None,
        served=score_document(shipped.served, outcome, decides=False) if shipped else None,
        gate=GateDocument(**shipped.release.gate.to_json()) if shipped else None,
        release=str(shipped.folder.relative_to(space.root)) if shipped else None,
        reason=reason_of(outcome, metric),
        rows={"train": data.train.rows, "validation": data.validation.rows, "test": data.test.rows},
        refused=shortlist.refused,
    )
    return document, attempts


def _clean(space: Workspace, steps: TaskSteps, outcome: Outcome) -> CleanDocument:
    """The test score without the rows that train has shown."""
    if outcome.test is None:
        raise ValueError("the test split was not opened")
    found, _ = contamination(space, steps.data, steps.parents[0])
    seen, ids = set(found.ids), evaluated_ids(space, outcome.test.evaluation)
    places = [i for i, id in enumerate(ids) if id not in seen]
    metric = outcome.target.metric
    inner = None
    if places:
        rows = outcome.test.statistics[metric][places]
        clusters = [outcome.test.clusters[i] for i in places]
        inner = interval(rows, clusters, load_metric(metric, steps.facts), seed=steps.project.seed)
    return CleanDocument(
        **found.model_dump(exclude={"ids"}),
        n=len(places),
        value=inner.value if inner else None,
        lower=inner.lower if inner else None,
        upper=inner.upper if inner else None,
    )


def _ship(space: Workspace, steps: TaskSteps, outcome: Outcome, name: str) -> Shipped:
    """Saves the kept model as a release, proves it, and grades it on the test rows the verdict came from."""
    kept = outcome.kept
    if kept is None or kept.adapted is None or kept.graded is None:
        raise ValueError("nothing was kept")
    release, _ = deploy(space, kept.adapted.model, kept.planned.base, kept.graded.evaluation, steps.data, [])
    served = steps.grade(release.model, "test")
    folder = place_release(space, release, name)
    return Shipped(release, folder, served)


def place_release(space: Workspace, release: Release, name: str) -> Path:
    """Puts a release where a person finds it: ``releases/NAME`` beside the project file, a copy of the artifact."""
    folder = space.root / RELEASES / name
    source = space.ledger.path(release.artifact)
    with space.ledger.holding(f"{RELEASES}/{name}", RELEASES):
        files.clear_leftovers(folder)
        _check_replaceable(space, folder, source)
        if not folder.exists() or files.tree_digest(folder) != release.artifact:
            files.replace_tree(source, folder)
    return folder


def _check_replaceable(space: Workspace, folder: Path, source: Path) -> None:
    """Refuses to delete what no release has: an edited release is put right, a file that somebody added is not lost.

    Raises:
        BadInput: Something else lies there.
    """
    if not folder.exists() or space.ledger.path(files.tree_digest(folder)).exists():
        return
    shipped = [space.ledger.path(run.output["artifact"]) for run in space.ledger.runs() if run.stage == "deploy"]
    known = {path.relative_to(root) for root in (source, *shipped) for path in root.rglob("*")}
    foreign = sorted(path for path in folder.rglob("*") if path.relative_to(folder) not in known)
    if foreign:
        raise BadInput("climb.foreign_release", place=foreign[0], folder=folder)


def _tell(space: Workspace, task: str, tried: Tried) -> None:
    if tried.score and tried.adapted and tried.graded:
        note = f"; {tried.reason}" if tried.reason else ""
        seconds = tried.adapted.seconds + tried.graded.seconds
        score = tried.score
        space.reporter.say(
            "climb.tried", task=task, name=tried.planned.name, metric=score.metric, value=score.value,
            lower=score.lower, upper=score.upper, seconds=seconds, note=note,
        )  # fmt: skip
    elif tried.planned.refused is None:
        # What does not apply at all is said once, in the ladder.
        status = messages.text(f"ladder.{tried.status.replace(' ', '_')}")
        space.reporter.say("climb.not_tried", task=task, name=tried.planned.name, status=status, reason=tried.reason)
