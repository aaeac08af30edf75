"""Engines on this machine: virtual environments under the user's cache, one for each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from escalade.catalogue.engines import ENGINES, EngineCard
from escalade.errors import BadInput
from escalade.ledger import files
from escalade.stages.workspace import Reporter

_MARK = "engine.json"
"""Written last: an environment without it was not finished."""


@dataclass(frozen=True)
class Engine:
    """A card, and what is here of it."""

    card: EngineCard
    folder: Path
    packages: tuple[str, ...] | None
    """What was asked of pip; None where it is not here."""

    @property
    def here(self) -> bool:
        """Whether it can be used."""
        return self.packages is not None

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / ("Scripts" if os.name == "nt" else "bin") / "python"

    def to_json(self) -> dict[str, Any]:
        """As the command line prints it."""
        current = self.packages == self.card.packages if self.here else None
        return {
            "name": self.card.name,
            "here": self.here,
            "folder": str(self.folder),
            "packages": list(self.packages or self.card.packages),
            "current": current,
        }


def home() -> Path:
    """Where engines lie: below ``ESCALADE_HOME``, or the user's cache."""
    given = os.environ.get("ESCALADE_HOME")
    cache = os.environ.get("XDG_CACHE_HOME")
    return Path(given) if given else (Path(cache) if cache else Path.home() / ".cache") / "escalade"


def find(card: EngineCard) -> Engine:
    """What is here of an engine."""
    folder = home() / "engines" / card.name
    try:
        packages = tuple(json.loads((folder / _MARK).read_text("utf-8"))["packages"])
    except (OSError, ValueError, KeyError, TypeError):
        packages = None
    return Engine(card, folder, packages)


def every() -> list[Engine]:
    """Every engine that there is a card of."""
    return [find(card) for card in ENGINES.values()]


def needed(card: EngineCard) -> Engine:
    """An engine that is to be used.

    Raises:
        BadInput: It is not here.
    """
    found = find(card)
    if not found.here or not found.python.exists():
        raise BadInput("stages.engine_missing", place=card.name, name=card.name)
    return found


def add(card: EngineCard, reporter: Reporter) -> tuple[Engine, bool]:
    """Makes an engine's environment, unless it is here as the card wants it.

    Returns:
        The engine, and whether anything was done.

    Raises:
        BadInput: pip could not install it.
    """
    found = find(card)
    if found.packages == card.packages and found.python.exists():
        return found, False
    reporter.say("stages.engine_adding", name=card.name, folder=found.folder, packages=" ".join(card.packages))
    remove(card)
    found.folder.parent.mkdir(parents=True, exist_ok=True)
    _run(card, [sys.executable, "-m", "venv", str(found.folder)])
    pip = [str(found.python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--quiet"]
    _run(card, [*pip, *card.packages])
    files.write(found.folder / _MARK, json.dumps({"name": card.name, "packages": card.packages}).encode())
    return find(card), True


def remove(card: EngineCard) -> bool:
    """Deletes an engine's environment; False where there is none."""
    folder = find(card).folder
    if not folder.exists():
        return False
    # The mark goes first, so that what a stop leaves behind is not taken for whole.
    (folder / _MARK).unlink(missing_ok=True)
    shutil.rmtree(folder)
    return True


def environment(**more: str) -> dict[str, str]:
    """The variables of an engine's process: without those that would lead its Python to our packages."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return kept | {"PYTHONUNBUFFERED": "1", **more}


def _run(card: EngineCard, command: list[str]) -> None:
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, errors="replace")
    if done.returncode:
        said = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        problem = next((line for line in said if line.startswith("ERROR")), said[-1] if said else command[0])
        raise BadInput("stages.engine_install", place=card.name, problem=problem[:300])
