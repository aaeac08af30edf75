"""How to check every number: a command for each."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from escalade import messages
from escalade.document import AttemptDocument, RunDocument, TaskDocument
from escalade.ledger import Ledger, Run
from escalade.report import format
from escalade.report.lineage import Lineage, attempts_of, kept_attempt, used_runs

_DIGITS = 12
"""Hex digits that name a run."""


@dataclass(frozen=True)
class Check:
    """A number and the command that gives it again."""

    what: str
    value: str
    command: str


def checks_of(task: TaskDocument, document: RunDocument, found: Lineage, ledger: Ledger) -> list[Check]:
    """Every number of one task with its command."""
    kept = kept_attempt(task, document)
    names, option = _names(document, ledger), _option(task, document)
    checks = []
    if task.test and kept:
        command = _command("evaluate", names[kept.id], "--split", "test", *option)
        checks.append(Check(messages.text("report.test_score"), format.score(task.test.value), command))
    if task.served and found.served:
        value = format.score(task.served.value)
        checks.append(Check(messages.text("report.served"), value, _show(found.served.id)))
    if task.gate and found.deploy:
        value = messages.text("report.gate_passed") if task.gate.passed else messages.text("report.gate_refused")
        checks.append(Check(messages.text("report.gate"), value, _show(found.deploy.id)))
    if found.ingest:
        checks.append(Check(messages.text("report.data"), "", _show(found.ingest.id)))
    for attempt in attempts_of(task, document):
        checks += _attempt(attempt, task, names, option)
    return checks


def _attempt(
    attempt: AttemptDocument, task: TaskDocument, names: Mapping[str, str], option: Sequence[str]
) -> list[Check]:
    """The validation score and the paired test of one attempt."""
    checks, said = [], format.shorten(attempt.name, 60)
    if score := attempt.scores.get(task.name):
        command = _command("evaluate", names[attempt.id], "--split", "validation", *option)
        what = messages.text("report.validation_of", name=said)
        checks.append(Check(what, format.score(score.value), command))
    if (versus := attempt.versus) and versus.attempt in names:
        command = _command("compare", names[versus.attempt], names[attempt.id], "--metric", task.target.metric)
        what = messages.text("report.difference_of", a=said, b=format.shorten(versus.name, 60))
        checks.append(Check(what, format.signed(versus.difference), command))
    return checks


def records_of(task: TaskDocument, document: RunDocument, ledger: Ledger) -> list[Check]:
    """Every attempt's runs, each with the command that shows its inputs, output and parents."""
    runs = used_runs(ledger)
    found = []
    for attempt in attempts_of(task, document):
        for id in attempt.runs:
            stage = runs[id].stage if id in runs else ""
            what = f"{format.shorten(attempt.name, 60)} {stage}".strip()
            found.append(Check(what, "", _show(id)))
    return found


def general_checks() -> list[Check]:
    """What holds for the whole page."""
    return [
        Check(messages.text("report.check_verify"), "", _command("runs", "verify")),
        Check(messages.text("report.check_run"), "", "escalade run ."),
    ]


def _names(document: RunDocument, ledger: Ledger) -> Mapping[str, str]:
    """What a command calls each attempt: its name where the ledger knows one of that name, else its run's id."""
    known = Counter(_name(run) for run in ledger.runs() if run.stage == "adapt")
    known.update(Counter(a.name for a in document.attempts) - known)
    return {a.id: a.name if known[a.name] == 1 or not a.runs else _short(a.runs[0]) for a in document.attempts}


def _name(adapt: Run) -> str:
    return f"{adapt.output.get('rung')} {adapt.output.get('base')}"


def _command(*parts: str) -> str:
    return shlex.join(["escalade", *(format.clean(part) for part in parts), "--project", "."])


def _option(task: TaskDocument, document: RunDocument) -> list[str]:
    """Names the task where it is not the one that commands take by themselves."""
    return [] if document.tasks[0].name == task.name else ["--task", task.name]


def _show(id: str) -> str:
    return _command("runs", "show", _short(id))


def _short(id: str) -> str:
    return id.removeprefix("b2:")[:_DIGITS]
