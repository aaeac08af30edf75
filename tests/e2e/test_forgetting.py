"""A climb over a pretrained base: what it forgot is measured once, told everywhere, and decides what may ship."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_project import make, run, write_rows

from escalade import climb, messages
from escalade import project as projects
from escalade.cli.ladder import show
from escalade.climb.book import LedgerBook
from escalade.document import AttemptDocument, ForgettingDocument, RunDocument
from escalade.errors import BadInput
from escalade.ledger.files import file_name
from escalade.stages.workspace import open_workspace
from tiny_bases import make_base, prose

pytestmark = pytest.mark.slow
TARGET = {"metric": "accuracy", "at_least": 0.05}


def rewrite(folder: Path, **said: Any) -> Path:
    file = folder / projects.FILE
    whole = json.loads(file.read_text(encoding="utf-8")) | said
    file.write_text(json.dumps(whole), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a decoder of its own, every attempt tried. Never changed: tests copy it."""
    folder = make(tmp_path_factory.mktemp("forgetting") / "project", tasks=("mood",))
    make_base(folder / "base", "decoder", steps=100)
    write_rows(folder / "kept.jsonl", [{"text": text} for text in prose()[:30]])
    rewrite(folder, candidates=["base", "scratch:encoder:tiny"], rungs=["baseline", "probe", "lora", "full"])
    document, ledger = run(folder)
    assert ledger.executed.count("likelihood") == 1 and ledger.executed.count("forgetting") == 2
    assert document.verdict == "not met" and ledger.verify() == []
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "project"))


def attempt(document: RunDocument, name: str) -> AttemptDocument:
    return next(attempt for attempt in document.attempts if attempt.name == name)


def forgot(document: RunDocument, name: str) -> ForgettingDocument:
    found = attempt(document, name).forgetting
    assert found is not None
    return found


def test_every_trained_attempt_with_a_pretrained_base_has_it_and_no_other(project: Path) -> None:
    document, ledger = run(project)
    assert ledger.executed == []
    measured = {attempt.name for attempt in document.attempts if attempt.forgetting}
    assert measured == {"lora base", "full base"}
    for name in measured:
        general = forgot(document, name).general
        assert general is not None and general.source.startswith("pydoc_data.topics (Python 3.")
        assert general.n == 60 and general.signature.startswith("nll:whole text") and general.base > 1
        assert general.lower <= general.difference <= general.upper
        divergence = forgot(document, name).divergence
        assert divergence is not None and divergence.n == 20 and 0 < divergence.lower < divergence.value
        runs = [ledger.find(id) for id in attempt(document, name).runs]
        took = sum(run.measured.seconds for run in runs if run)
        assert attempt(document, name).measured is not None and attempt(document, name).measured.seconds == took  # type: ignore[union-attr]
    stages = [ledger.used[id].stage for name in ("lora base", "full base") for id in attempt(document, name).runs]
    assert sorted(stages) == ["adapt", "adapt", "evaluate", "evaluate", "forgetting", "forgetting", "likelihood"]


@pytest.mark.parametrize("stage", ["likelihood", "forgetting"])
def test_a_deleted_run_is_the_only_one_executed_again(finished: Path, project: Path, stage: str) -> None:
    before, ledger = run(project)
    gone = next(run for run in ledger.runs() if run.stage == stage)
    (project / ".escalade" / "runs" / f"{file_name(gone.id)}.json").unlink()
    document, ledger = run(project)
    assert ledger.executed == [stage] and forgot(document, "full base") == forgot(before, "full base")


def test_ladder_and_report_tell_it_in_both_languages(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document, _ = run(project)
    show(document)
    said = capsys.readouterr().out
    lines = [line for line in said.splitlines() if line.startswith(("  lora base forgets", "  full base forgets"))]
    assert len(lines) == 2 and "bits per byte of pydoc_data.topics" in lines[0] and "KL from its base 0." in lines[0]
    page = (project / "report.html").read_text("utf-8")
    assert "What was forgotten of the base" in page and "pydoc_data.topics (Python 3." in page
    messages.use("zh")
    run(project)
    assert "对基座的遗忘" in (project / "report.html").read_text("utf-8")


def test_another_target_or_name_measures_nothing_again(project: Path) -> None:
    tasks = json.loads((project / projects.FILE).read_text("utf-8"))["tasks"]
    rewrite(project, name="renamed", tasks=[tasks[0] | {"name": "feeling", "target": TARGET | {"at_least": 0.79}}])
    _, ledger = run(project)
    assert not {"adapt", "likelihood", "forgetting"} & set(ledger.executed)


def test_keep_is_measured_on_its_own_texts_and_a_wide_limit_holds(project: Path, capsys: Any) -> None:
    rewrite(project, keep=[{"data": "kept.jsonl", "worsen_at_most": 7.5}])
    document, ledger = run(project)
    assert sorted(ledger.executed) == ["forgetting", "forgetting", "likelihood"]
    found = forgot(document, "full base")
    assert found.general is not None and found.general.source == "kept.jsonl" and found.general.n == 30
    (keep,) = found.keep
    assert keep.broken is False and keep.change == found.general and keep.worsen_at_most == 7.5
    show(document)
    assert "`keep` holds" in capsys.readouterr().out
    rewrite(project, keep=[{"data": "kept.jsonl", "worsen_at_most": 7}])
    assert run(project)[1].executed == [], "another limit on the same texts"


def test_an_attempt_that_breaks_keep_is_neither_kept_nor_released(project: Path, capsys: Any) -> None:
    """Without baselines there is nothing else to keep: the target is met on validation, and still nothing ships."""
    shutil.rmtree(project / "releases")
    tasks = json.loads((project / projects.FILE).read_text("utf-8"))["tasks"]
    entries = [{"data": "kept.jsonl", "worsen_at_most": 7.5}, {"data": "kept.jsonl", "worsen_at_most": 0}]
    rewrite(project, tasks=[tasks[0] | {"target": TARGET}], rungs=["full"], candidates=["base"], keep=entries)
    document, ledger = run(project)
    full = attempt(document, "full base")
    assert full.status == "done" and full.reason is not None and full.reason.startswith("it forgets too much: kept.j")
    assert [keep.broken for keep in forgot(document, "full base").keep] == [False, True]
    (task,) = document.tasks
    assert task.kept is None and task.release is None and task.test is None and task.verdict == "not met"
    assert task.reason is not None and task.reason.startswith("nothing is kept: it forgets too much")
    assert not (project / "releases").exists() and "deploy" not in ledger.executed
    show(document)
    assert "`keep` is broken: kept.jsonl up to +" in capsys.readouterr().out
    assert "broken" in (project / "report.html").read_text("utf-8")
    again, ledger = run(project)
    assert ledger.executed == [] and again.tasks == document.tasks and again.attempts == document.attempts


def test_where_time_is_over_it_is_skipped_with_the_reason_and_a_replay_skips_it_too(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite(project, keep=[{"data": "kept.jsonl", "worsen_at_most": 7.5}], budget={"time": "1h"})
    asked = projects.load(project)
    space = open_workspace(project)
    monkeypatch.setattr(LedgerBook, "time_left", lambda self: None)
    monkeypatch.setattr(sys.modules["escalade.climb.run"], "_deadline", lambda project, began, number: 1.0)
    document = climb.run(asked, space)
    assert not {"adapt", "likelihood", "forgetting"} & set(space.ledger.executed)
    late = forgot(document, "full base")
    assert late.general is None and late.reason is not None and late.reason.key == "climb.forgetting_late"
    assert late.keep[0].broken is None and "not shown to hold" in str(attempt(document, "full base").reason)
    monkeypatch.undo()
    space = open_workspace(project)
    again = climb.run(asked, space)
    assert space.ledger.executed == [] and again.attempts == document.attempts


def test_a_keep_that_cannot_be_read_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    folder = rewrite(make(tmp_path / "fresh"), keep=[{"data": "nothing.jsonl", "worsen_at_most": 0.1}])
    with pytest.raises(BadInput) as error:
        run(folder)
    assert error.value.place == "nothing.jsonl" and not (folder / ".escalade").exists()
