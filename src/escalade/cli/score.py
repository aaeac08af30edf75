"""``escalade score``: metrics of predictions against references, or a model's choices, with intervals."""

from __future__ import annotations

from pathlib import Path

import click

from escalade import evaluate
from escalade.cli import choices as choosing
from escalade.cli import console
from escalade.evaluate.choices import NORMALISATIONS, Normalisation
from escalade.evaluate.read_texts import read_pair


@click.command(help="help.score")
@click.option("--metrics", default="rouge1,rouge2,rougeL,bleu,chrf", show_default=True, help="help.score_metrics")
@click.option("--predictions", type=click.Path(path_type=Path), help="help.score_predictions")
@click.option("--references", type=click.Path(path_type=Path), help="help.score_references")
@click.option("--lang", "--language", "language", help="help.score_language")
@click.option("--choices", type=click.Path(path_type=Path), help="help.score_choices")
@click.option("--model", help="help.score_model")
@click.option("--normalise", type=click.Choice(NORMALISATIONS), help="help.score_normalise")
@click.option("--masking", type=click.Choice(["token", "word"]), help="help.score_masking")
@click.option("--limit", type=click.IntRange(min=1), help="help.score_limit")
@click.option("--out", type=click.Path(path_type=Path), help="help.score_out")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(
    metrics: str,
    predictions: Path | None,
    references: Path | None,
    language: str | None,
    choices: Path | None,
    model: str | None,
    normalise: Normalisation | None,
    masking: str | None,
    limit: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Scores one file against another, or the choices of a file with a model."""
    asked = choosing.Asked(choices, model, normalise, masking, limit, out)
    if choosing.check(asked, {"--predictions": predictions, "--references": references}):
        choosing.show(asked, as_json)
        return
    assert predictions is not None and references is not None
    said, wanted = read_pair(predictions, references)
    found = evaluate.text_score(said, wanted, [m.strip() for m in metrics.split(",") if m.strip()], language)
    if as_json:
        console.print_json(found)
        return
    rows = [[name, console.interval(s), s["signature"]] for name, s in found["metrics"].items()]
    console.print_table(
        console.headings("headings.metric", "headings.value", "headings.signature"), rows, f"n = {found['n']}"
    )
