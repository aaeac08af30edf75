"""``escalade score``: metrics of predictions against references, with intervals."""

from __future__ import annotations

from pathlib import Path

import click

from escalade import evaluate
from escalade.cli import console
from escalade.evaluate.read_texts import read_pair


@click.command(help="help.score")
@click.option("--metrics", default="rouge1,rouge2,rougeL,bleu,chrf", show_default=True, help="help.score_metrics")
@click.option("--predictions", type=click.Path(path_type=Path), required=True, help="help.score_predictions")
@click.option("--references", type=click.Path(path_type=Path), required=True, help="help.score_references")
@click.option("--lang", "--language", "language", help="help.score_language")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(metrics: str, predictions: Path, references: Path, language: str | None, as_json: bool) -> None:
    """Scores one file against another."""
    said, wanted = read_pair(predictions, references)
    found = evaluate.text_score(said, wanted, [m.strip() for m in metrics.split(",") if m.strip()], language)
    if as_json:
        console.print_json(found)
        return
    rows = [[name, console.interval(s), s["signature"]] for name, s in found["metrics"].items()]
    console.print_table(
        console.headings("headings.metric", "headings.value", "headings.signature"), rows, f"n = {found['n']}"
    )
