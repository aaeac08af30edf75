"""``escalade.json``: how the model in a folder predicts. Written by every rung, read by whoever loads the folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from escalade.errors import BadInput, Damaged
from escalade.values import Base, Facts, Value

FILE = "escalade.json"


class Manifest(Value):
    """All that a predictor needs beside the weights."""

    format: int = 1
    engine: Literal["baseline", "probe", "head", "text", "embed"]
    facts: Facts
    rung: str
    base: Base
    weights: Literal["own", "base", "adapter"]
    """Where the weights lie: in this folder, in the base's, or an adapter here on the base there."""
    head: Literal["lm", "mask", "classify", "tag", "embed"] | None = None
    """What the weights end in; None for baselines and remote models."""
    method: str | None = None
    """A baseline's name."""
    template: dict[str, Any] | None = None
    """The prompt's template, exactly as trained."""
    demonstrations: tuple[dict[str, Any], ...] = ()
    """Records shown in the prompt."""
    max_tokens: int = 0
    """Longest output in tokens."""
    stop: tuple[str, ...] = ()
    context: int = 0
    """Longest input in tokens; 0 where there is no such limit."""

    def write(self, folder: Path) -> None:
        """Writes the file with sorted keys."""
        text = json.dumps(self.to_json(), ensure_ascii=False, sort_keys=True, indent=1)
        (folder / FILE).write_text(text, encoding="utf-8")


def read(folder: Path) -> Manifest:
    """Reads the manifest of a folder.

    Raises:
        BadInput: The folder holds none.
        Damaged: It cannot be read.
    """
    path = folder / FILE
    if not path.exists():
        raise BadInput("models.not_a_model", place=folder)
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValueError:
        raise Damaged("ledger.unreadable", place=path) from None
