"""What was done is never done again, and only what depends on a change is done anew."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tiny_project import edit_row, make, results, run, write_project

from escalade.errors import BadInput
from escalade.ledger import Ledger
from escalade.ledger.files import file_name

pytestmark = pytest.mark.slow
FIRST = ["ingest", "profile", "select", *["forecast"] * 4]
"""The stages before anything is tried: three baselines and one candidate are forecast."""
TRIED = ["adapt", "evaluate"] * 4
SHIPPED = ["evaluate", "deploy", "evaluate", "contamination"]
"""The test split opened, the release, and the release graded on the same rows."""
RUNS = 2 * len([*FIRST, *TRIED, *SHIPPED])
SCRIPT = Path(sys.executable).parent / "escalade"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was run once, every attempt of both tasks tried. Never changed: tests copy it."""
    folder = make(tmp_path_factory.mktemp("replay") / "project")
    document, ledger = run(folder)
    assert ledger.executed == [*FIRST, *TRIED, *SHIPPED] * 2 and document.executed == RUNS
    assert {attempt.status for attempt in document.attempts if attempt.runs} == {"done"} and ledger.verify() == []
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of the project of its own, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "project"))


def command(project: Path, *options: str) -> dict[str, Any]:
    """``escalade run --json`` in a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    arguments = [SCRIPT, "run", project, "--json", *options]
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode in (0, 3), done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if said["verdict"] == "met" else 3)
    return said


def without_clock(document: dict[str, Any]) -> dict[str, Any]:
    """A document but for where it was made, how much of it anew, and how long that took."""
    return {key: value for key, value in document.items() if key not in ("seconds", "executed", "project", "report")}


def test_running_again_executes_nothing_and_says_the_same(finished: Path, project: Path) -> None:
    wanted = results(finished)
    first, ledger = run(project)
    assert ledger.executed == [] and first.executed == 0
    second, _ = run(project)
    assert without_clock(first.to_json()) == without_clock(second.to_json())
    assert results(project) == wanted and ledger.verify() == []


def test_the_command_again_executes_nothing_in_either_language(project: Path) -> None:
    wanted = results(project)
    page = project / "report.html"
    english, chinese = command(project), command(project, "--lang", "zh")
    assert (english["executed"], chinese["executed"]) == (0, 0)
    assert 'lang="zh' in page.read_text(encoding="utf-8") and results(project) == wanted
    for one, other in zip(english["attempts"], chinese["attempts"], strict=True):
        assert one["scores"] == other["scores"] and one["runs"] == other["runs"] and one["id"] == other["id"]
        assert (one["reason"] is None) == (other["reason"] is None)
        assert one["reason"] is None or one["reason"] != other["reason"]


@pytest.mark.parametrize("number", range(RUNS))
def test_a_deleted_run_is_the_only_one_executed_again(finished: Path, project: Path, number: int) -> None:
    gone = sorted(Ledger(finished / ".escalade").runs(), key=lambda run: (run.stage, run.id))[number]
    (project / ".escalade" / "runs" / f"{file_name(gone.id)}.json").unlink()
    document, ledger = run(project)
    assert (document.executed, ledger.executed) == (1, [gone.stage])
    assert ledger.verify() == [] and results(project) == results(finished)
    again, ledger = run(project)
    assert again.executed == 0


def test_every_run_is_among_those_deleted(finished: Path) -> None:
    assert len(Ledger(finished / ".escalade").runs()) == RUNS


def test_a_deleted_run_is_executed_again_by_the_command(finished: Path, project: Path) -> None:
    gone = next(run for run in Ledger(finished / ".escalade").runs() if run.stage == "deploy")
    (project / ".escalade" / "runs" / f"{file_name(gone.id)}.json").unlink()
    assert command(project)["executed"] == 1
    assert results(project) == results(finished)


def test_an_edited_train_row_makes_its_own_task_anew_and_leaves_the_other(finished: Path, project: Path) -> None:
    before = results(finished)
    edit_row(project / "mood-train.jsonl", 3, "grumpy gloomy")
    document, ledger = run(project)
    done = Counter(ledger.executed)
    # The labels, and with them the facts that select is asked about, are as they were. So is how often each label
    # occurs: the model that answers with the most frequent one is made anew, is the same, and was evaluated before.
    assert done == Counter(["ingest", "profile", *["forecast"] * 4, *["adapt"] * 4, *["evaluate"] * 3, *SHIPPED])
    assert before.items() <= (results(project) | {"releases/mood": before["releases/mood"]}).items()
    assert ledger.verify() == []
    assert len([run for run in ledger.runs() if run.id not in before]) == document.executed == sum(done.values())
    for attempt in document.attempts:
        assert all((run in before) == (attempt.tasks == ("topic",)) for run in attempt.runs[:1])


@pytest.mark.parametrize("split", ["test", "validation"])
def test_an_edited_row_adapts_again_only_where_adapting_reads_it(finished: Path, project: Path, split: str) -> None:
    edit_row(project / f"mood-{split}.jsonl", 3, "grumpy gloomy")
    document, ledger = run(project)
    done = Counter(ledger.executed)
    if split == "test":
        # Ingest, the kept model, what ships, and what train has shown of it: nothing is adapted or deployed again.
        assert done == Counter(["ingest", "evaluate", "evaluate", "contamination"])
    else:
        assert done["adapt"] == 4 and done["profile"] == done["select"] == done["forecast"] == 0
    assert ledger.verify() == []
    assert run(project)[0].executed == 0


def test_a_new_target_adapts_and_reads_nothing_again(project: Path) -> None:
    write_project(project, target=0.79)
    document, ledger = run(project)
    assert ledger.executed == [], "the same model is kept, and the test rows were answered before"
    assert {task.test.looks for task in document.tasks if task.test} == {2}, "but it is a second look at them"
    write_project(project, target=0.05)
    document, ledger = run(project)
    assert document.verdict == "met" and {attempt.status for attempt in document.attempts} == {"done", "not tried"}
    shorter = {attempt.reason for attempt in document.attempts} - {None}
    assert not shorter & {attempt["reason"] for attempt in command(project, "--lang", "zh")["attempts"]}
    assert set(ledger.executed) <= {"evaluate", "deploy"}, "what is kept now is opened on test, and shipped"
    assert ledger.executed != [] and ledger.verify() == []


def test_a_new_candidate_tries_only_itself(project: Path) -> None:
    write_project(project, candidates=("scratch:encoder:tiny", "scratch:encoder:0.1M"))
    _, ledger = run(project)
    assert Counter(ledger.executed) == Counter(["select", "forecast", "adapt", "evaluate"] * 2)


def test_another_name_for_project_and_task_executes_nothing(project: Path) -> None:
    file = project / "escalade.yaml"
    said = json.loads(file.read_text(encoding="utf-8"))
    said["name"], said["tasks"][0]["name"] = "renamed", "sentiment"
    file.write_text(json.dumps(said), encoding="utf-8")
    document, ledger = run(project)
    assert ledger.executed == [] and document.tasks[0].release == "releases/sentiment"


def test_a_release_that_was_edited_is_put_right_without_any_stage(finished: Path, project: Path) -> None:
    (project / "releases" / "mood" / "escalade.json").write_text("{}", encoding="utf-8")
    (project / "releases" / "topic" / "README.md").unlink()
    _, ledger = run(project)
    assert ledger.executed == [] and results(project) == results(finished)
    assert {path.name for path in (project / "releases").iterdir()} == {"mood", "topic"}


def test_a_file_that_somebody_put_into_a_release_is_not_lost(project: Path) -> None:
    mine = project / "releases" / "topic" / "more"
    mine.write_text("x", encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        run(project)
    assert refused.value.key == "climb.foreign_release" and refused.value.place == str(mine) and mine.exists()
