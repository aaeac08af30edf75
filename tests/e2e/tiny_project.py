"""A project of two made-up tasks that runs in seconds, every stage and one trained candidate included."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

from escalade import api
from escalade import project as projects
from escalade.document import RunDocument
from escalade.ledger import Ledger
from escalade.ledger.files import tree_digest
from escalade.stages.workspace import Workspace

SPLITS = {"train": 16, "validation": 20, "test": 20}
WORDS = {
    "mood": {
        "glad": "bright warm kind sweet calm lovely fresh gentle happy clean".split(),
        "sad": "dull cold harsh bitter noisy ugly stale rough angry dirty".split(),
    },
    "topic": {
        "sea": "wave harbour sail tide anchor gull reef coral deck island".split(),
        "wood": "oak moss fern deer path cabin pine owl root clearing".split(),
    },
}
MIDDLE = "room food walk song trip film seat staff window morning letter garden lamp coat story bench".split()
NOISE = 0.4
"""Share of the rows that are labelled wrongly, so that nothing meets a target by chance."""


def rows_of(task: str, split: str) -> list[dict[str, str]]:
    """The made-up rows of a split, always the same."""
    chance = random.Random(f"{task} {split}")
    labels = list(WORDS[task])
    rows = []
    for number in range(SPLITS[split]):
        label = labels[number % 2]
        words = chance.sample(MIDDLE, 2) + chance.sample(WORDS[task][label], 3) + [f"{split}{number}"]
        chance.shuffle(words)
        shown = chance.choice(labels) if chance.random() < NOISE else label
        rows.append({"text": " ".join(words), "label": shown})
    return rows


def write_rows(path: Path, rows: Sequence[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def make(
    folder: Path,
    tasks: Sequence[str] = ("mood", "topic"),
    rungs: Sequence[str] = ("baseline", "full"),
) -> Path:
    """Writes the project's files: train, validation and test of each task in a file of its own."""
    folder.mkdir(parents=True)
    for task in tasks:
        for split in SPLITS:
            write_rows(folder / f"{task}-{split}.jsonl", rows_of(task, split))
    write_project(folder, tasks, rungs)
    return folder


def write_project(
    folder: Path,
    tasks: Sequence[str] = ("mood", "topic"),
    rungs: Sequence[str] = ("baseline", "full"),
    candidates: Sequence[str] = ("scratch:encoder:tiny",),
    target: float = 0.8,
) -> None:
    """Writes the project file. The candidate is named, so that none that lies on this machine is tried."""
    said = {
        "name": "tiny",
        "language": "en",
        "tasks": [
            {
                "name": task,
                "data": {split: f"{task}-{split}.jsonl" for split in SPLITS},
                "target": {"metric": "accuracy", "at_least": target},
            }
            for task in tasks
        ],
        "candidates": list(candidates),
        "rungs": list(rungs),
    }
    (folder / projects.FILE).write_text(json.dumps(said, indent=1), encoding="utf-8")


def edit_row(path: Path, number: int, more: str) -> None:
    """Adds words to one row's text."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows[number]["text"] += f" {more}"
    write_rows(path, rows)


def run(folder: Path) -> tuple[RunDocument, Ledger]:
    """Runs a project in this process; the document, and the ledger that knows what was executed."""
    spaces: list[Workspace] = []
    document = api.run_project(projects.load(folder), folder, on_checked=spaces.append)
    return document, spaces[0].ledger


def results(folder: Path) -> dict[str, str]:
    """What a project came to: output digest by run, and the digest of each release's folder."""
    found = {run.id: run.output_digest for run in Ledger(folder / ".escalade").runs()}
    return found | {f"releases/{path.name}": tree_digest(path) for path in sorted((folder / "releases").iterdir())}
