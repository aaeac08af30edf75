"""How to check every number: a command for each."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from escalade import messages
from escalade.document import RunDocument, TaskDocument
from escalade.ledger import Ledger, Run
from escalade.report import format
from escalade.report.lineage import attempts_of, kept_attempt, used_runs

_DIGITS = 12
"""Hex digits that name a run."""


@dataclass(frozen=True)
class Check:
    """A number and the command that gives it again."""

    what: str
    value: str
    command: str


def checks_of(task: TaskDocument, document: RunDocument, ledger: Ledger) -> list[Check]:
    """Every number of one task with its command."""
    names = _commands_names(document, ledger)
    attempts = attempts_of(task, document)
    by_id, metric = {attempt.id: attempt for attempt in attempts}, task.target.metric
    kept, checks = kept_attempt(task, document), []
    if task.test and kept:
        command = _command("evaluate", names[kept.id], "--split", "test")
        checks.append(Check(messages.text("report.test_score"), format.score(task.test.value), command))
    if task.served and task.release:
        command = _command("evaluate", task.release, "--split", "test")
        checks.append(Check(messages.text("report.served"), format.score(task.served.value), command))
    for attempt in attempts:
        if score := attempt.scores.get(task.name):
            what = messages.text("report.validation_of", name=format.shorten(attempt.name, 60))
            command = _command("evaluate", names[attempt.id], "--split", "validation")
            checks.append(Check(what, format.score(score.value), command))
        if (versus := attempt.versus) and versus.attempt in by_id:
            what = messages.text("report.difference_of", a=format.shorten(attempt.name, 60), b=versus.name)
            command = _command("compare", names[versus.attempt], names[attempt.id], "--metric", metric)
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
            found.append(Check(what, _short(id), _command("runs", "show", _short(id))))
    return found


def general_checks() -> list[Check]:
    """What holds for the whole page."""
    return [
        Check(messages.text("report.check_verify"), "", _command("runs", "verify")),
        Check(messages.text("report.check_run"), "", "escalade run ."),
    ]


def _commands_names(document: RunDocument, ledger: Ledger) -> Mapping[str, str]:
    """What a command calls each attempt: its name where the ledger knows one of that name, else its run's id."""
    known = Counter(_name(run) for run in ledger.runs() if run.stage == "adapt")
    known.update(Counter(a.name for a in document.attempts) - known)
    return {a.id: a.name if known[a.name] == 1 or not a.runs else _short(a.runs[0]) for a in document.attempts}


def _name(adapt: Run) -> str:
    return f"{adapt.output.get('rung')} {adapt.output.get('base')}"


def _command(*parts: str) -> str:
    return shlex.join(["escalade", *(format.clean(part) for part in parts), "--project", "."])


def _short(id: str) -> str:
    return id.removeprefix("b2:")[:_DIGITS]
