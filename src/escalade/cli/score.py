"""``escalade score``: metrics of predictions against references, or a model's choices, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from escalade import api
from escalade.catalogue.metrics import card
from escalade.cli import choices as choosing
from escalade.cli import console
from escalade.evaluate.choices import NORMALISATIONS, Normalisation
from escalade.evaluate.read_texts import read_several, read_texts, source

_WORST = 20
_WIDTH = 60
"""Characters of a text shown in a table."""


@click.command(help="help.score")
@click.option("--metrics", default="rouge1,rouge2,rougeL,bleu,chrf", show_default=True, help="help.score_metrics")
@click.option("--metrics-from", "own", multiple=True, help="help.score_metrics_from")
@click.option("--predictions", help="help.score_predictions")
@click.option("--references", multiple=True, help="help.score_references")
@click.option("--inputs", help="help.score_inputs")
@click.option("--groups", help="help.compare_groups")
@click.option("--lang", "--language", "language", help="help.score_language")
@click.option("--items", is_flag=True, help="help.score_items")
@click.option("--choices", type=click.Path(path_type=Path), help="help.score_choices")
@click.option("--model", help="help.score_model")
@click.option("--normalise", type=click.Choice(NORMALISATIONS), help="help.score_normalise")
@click.option("--masking", type=click.Choice(["token", "word"]), help="help.score_masking")
@click.option("--limit", type=click.IntRange(min=1), help="help.score_limit")
@click.option("--out", type=click.Path(path_type=Path), help="help.score_out")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(
    metrics: str,
    own: tuple[str, ...],
    predictions: str | None,
    references: tuple[str, ...],
    inputs: str | None,
    groups: str | None,
    language: str | None,
    items: bool,
    choices: Path | None,
    model: str | None,
    normalise: Normalisation | None,
    masking: str | None,
    limit: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Scores one file against another, or several, or the choices of a file with a model."""
    asked = choosing.Asked(choices, model, normalise, masking, limit, out)
    if choosing.check(asked, {"--predictions": predictions, "--references": references or None}):
        choosing.show(asked, as_json)
        return
    if predictions is None:
        raise ValueError("the check lets nothing through without predictions")
    said, wanted = read_several(source(predictions), [source(each) for each in references])
    names = [name.strip() for name in metrics.split(",") if name.strip()]
    questions = read_texts(*source(inputs)) if inputs else None
    together = read_texts(*source(groups)) if groups else None
    # What leaves the machine, or runs on it, is said whatever form the result has.
    reporter = console.ConsoleReporter()
    found = api.score(
        said, wanted, names, language, items, inputs=questions, groups=together, metrics_from=own, reporter=reporter
    )
    if as_json:
        console.print_json(found)
        return
    rows = [[name, console.interval(s), s["signature"]] for name, s in found["metrics"].items()]
    console.print_table(
        console.headings("headings.metric", "headings.value", "headings.signature"), rows, f"n = {found['n']}"
    )
    if items:
        _print_worst(found["items"], said, wanted)


def _print_worst(
    items: Mapping[str, Sequence[float | None]], said: Sequence[str], wanted: Sequence[Sequence[Any]]
) -> None:
    """The rows that the first metric likes least, with the values of all metrics."""
    first, values = next(iter(items.items()))
    sign = 1 if card(first).rising else -1
    known = [(sign * value, row) for row, value in enumerate(values) if value is not None]
    worst = [row for _, row in sorted(known)[:_WORST]]
    rows = [
        [row + 1, *(_number(each[row]) for each in items.values()), _short(said[row]), _short(wanted[row][0])]
        for row in worst
    ]
    row, answer, reference = console.headings("headings.row", "headings.answer", "headings.reference")
    console.print_table([row, *items, answer, reference], rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _short(text: str) -> str:
    """One line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
