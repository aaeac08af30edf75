"""What a result is does not depend on where, when, in which language or for which target it was made."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from escalade import climb, messages, project
from escalade.document import RunDocument
from escalade.ledger import Run
from escalade.stages.workspace import open_workspace

WORDS = "river stone cloud garden winter candle mirror engine harbour pepper violin lantern".split()


def run(root: Path, at_least: float, name: str = "task") -> tuple[RunDocument, dict[str, Run]]:
    """Climbs 120 made-up rows with baselines only; the document, and every run by its id."""
    draw = random.Random(0)
    lines = []
    for i in range(120):
        words = draw.choices(WORDS, k=5)
        lines.append(f"{' '.join(words)} {i},{'warm' if 'candle' in words else 'cold'}\n")
    root.mkdir(parents=True, exist_ok=True)
    (root / "rows.csv").write_text("text,label\n" + "".join(lines), encoding="utf-8")
    task = {"name": name, "data": "rows.csv", "target": {"metric": "accuracy", "at_least": at_least}}
    space = open_workspace(root)
    said = {"tasks": [task], "rungs": ["baseline"], "candidates": ["scratch"]}
    document = climb.run(project.parse(said), space)
    return document, {run.id: run for run in space.ledger.runs()}


def test_folder_language_and_clock_are_in_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, here = run(tmp_path / "here", 0.5)
    monkeypatch.setattr("time.time", lambda: 4e9)
    messages.use("zh")
    _, there = run(tmp_path / "a folder elsewhere", 0.5)
    assert len(here) > 8 and here.keys() == there.keys()
    for id, one in here.items():
        assert one.output == there[id].output and one.artifacts == there[id].artifacts, one.stage
        assert one.measured.seconds != there[id].measured.seconds


def test_another_target_or_name_trains_nothing_again(tmp_path: Path) -> None:
    first, runs = run(tmp_path, 0.1)
    assert first.executed == len(runs)
    second, more = run(tmp_path, 0.2, name="renamed")
    assert second.executed == 0 and more.keys() == runs.keys()
