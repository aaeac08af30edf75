"""The part of ``escalade score`` that picks among choices."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from escalade import messages
from escalade.cli import console
from escalade.errors import BadInput
from escalade.evaluate.choices import METRIC, Chosen, Normalisation
from escalade.stages import choosing
from escalade.stages.workspace import open_workspace


@dataclass(frozen=True)
class Asked:
    """The options that choices have; None where one is left out."""

    choices: Path | None
    model: str | None
    normalise: Normalisation | None
    masking: str | None
    limit: int | None
    out: Path | None

    def given(self) -> list[str]:
        """The names of the options that were given, ``--choices`` aside."""
        return [f"--{name}" for name, value in vars(self).items() if value is not None and name != "choices"]


def check(asked: Asked, texts: dict[str, object]) -> bool:
    """Whether choices are asked for rather than texts.

    Args:
        asked: The options of choices.
        texts: The options of texts that must be there without choices, by name.

    Raises:
        BadInput: Options of both are mixed, or one that is needed is missing.
    """
    if asked.choices is None:
        if asked.given():
            raise BadInput("cli.needs_choices", place=f"escalade score {asked.given()[0]}", name=asked.given()[0])
        needed = texts
    else:
        both = [name for name, value in texts.items() if value is not None]
        if both:
            raise BadInput("cli.choices_and_texts", place=f"escalade score {both[0]}", name=both[0])
        needed = {"--model": Path(asked.model) if asked.model else None}
    for name, value in needed.items():
        if value is None:
            raise BadInput("cli.parameter_missing", place="escalade score", name=name, command="escalade score")
    return asked.choices is not None


def show(asked: Asked, as_json: bool) -> None:
    """Scores the choices and prints the result."""
    assert asked.choices is not None and asked.model is not None
    reporter = console.ConsoleReporter(quiet=as_json)
    found, chosen = choosing.choose_file(
        open_workspace(Path("."), reporter),
        asked.model,
        asked.choices,
        asked.normalise or "sum",
        asked.limit,
        asked.masking == "word",
    )
    reporter.close()
    if asked.out is not None:
        _write(asked.out, chosen)
    if as_json:
        console.print_json(found)
        return
    _print(found)


def _write(out: Path, chosen: list[Chosen]) -> None:
    text = "".join(json.dumps(one.to_json(), ensure_ascii=False) + "\n" for one in chosen)
    out.write_text(text, encoding="utf-8")


def _print(found: dict[str, Any]) -> None:
    score = found["metrics"][METRIC]
    columns = console.headings("headings.metric", "headings.value", "headings.signature")
    console.print_table(columns, [[METRIC, console.interval(score), score["signature"]]], f"n = {found['n']}")
    told = messages.text("cli.choices_told", ties=found["ties"], margin=found["margin"], seconds=found["seconds"])
    console.print_wrapped(told)
    if found["groups"]:
        rows = [[group["name"], group["n"], console.interval(group)] for group in found["groups"]]
        console.print_table(console.headings("headings.group", "headings.items", "headings.value"), rows)
