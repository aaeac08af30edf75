"""The command line called as a user calls it, on projects so small that a whole climb takes a second."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from escalade.cli import main

GOOD = ("lovely", "bright", "warm", "kind", "gentle", "sweet", "splendid", "graceful")
BAD = ("dull", "grim", "cold", "harsh", "bitter", "stale", "clumsy", "dreary")
THINGS = ("film", "song", "meal", "garden", "story", "room", "walk", "evening", "play", "letter")


@dataclass(frozen=True)
class Answer:
    """What one call gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout; anything else there is an error."""
        return json.loads(self.out)


Call = Callable[..., Answer]


def caller(capsys: pytest.CaptureFixture[str]) -> Call:
    """A function that runs the command line in this process."""

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Answer(int(left.value.code or 0), said.out, said.err)

    return call


def texts(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Short reviews, all different, and whether they praise: easy for a linear model, not for a majority."""
    dice, seen = random.Random(seed), dict[str, str]()
    while len(seen) < count:
        label, words = dice.choice((("good", GOOD), ("bad", BAD)))
        said = f"the {dice.choice(THINGS)} was {dice.choice(words)} and {dice.choice(words)}"
        seen.setdefault(said, label)
    return list(seen.items())


def write_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    return path


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_project(folder: Path, task: dict[str, Any] | None = None, **said: Any) -> Path:
    """A project over ``rows.csv``: baselines only, whatever models this machine has."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"tasks": [{"data": "rows.csv"} | (task or {})], "candidates": ["scratch"], "rungs": ["baseline"]} | said
    (folder / "escalade.yaml").write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, and every folder, with what it holds."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"/" for p in sorted(folder.rglob("*"))}
