"""What a rung is handed, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from escalade.data import Template
from escalade.records import Preference, Record
from escalade.values import Base, Facts, Rung, Setting


@dataclass(frozen=True)
class Job:
    """One rung's work.

    ``out`` is where the model goes; ``work`` outlives a kill and holds checkpoints.
    """

    base: Base
    base_folder: Path | None
    start_folder: Path | None
    facts: Facts
    train: Sequence[Record]
    validation: Sequence[Record]
    preferences: Sequence[Preference]
    preference_validation: Sequence[Preference]
    rung: Rung
    seed: int
    template: Template
    work: Path
    out: Path
    on_event: Callable[[dict[str, Any]], None]
    should_stop: Callable[[], str | None]


@dataclass(frozen=True)
class Done:
    """What a rung found out while adapting."""

    parameters: int | None = None
    trainable: int | None = None
    findings: Mapping[str, Setting] = field(default_factory=dict)
