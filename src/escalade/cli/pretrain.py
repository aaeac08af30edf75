"""``escalade pretrain``: a base model from scratch on text."""

from __future__ import annotations

import os
from pathlib import Path

import click

from escalade import messages
from escalade.cli import console
from escalade.stages import pretrain as stage
from escalade.stages.workspace import open_workspace


@click.command(help="help.pretrain")
@click.option(
    "--family", type=click.Choice(["encoder", "decoder", "encoder-decoder"]), required=True, help="help.pretrain_family"
)
@click.option("--size", default="tiny", show_default=True, help="help.pretrain_size")
@click.option("--text", "texts", multiple=True, required=True, help="help.pretrain_text")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="help.pretrain_out")
@click.option(
    "--epochs", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True, help="help.pretrain_epochs"
)
@click.option("--vocabulary", type=click.IntRange(min=1), help="help.pretrain_vocabulary")
@click.option("--context", type=click.IntRange(min=8), default=256, show_default=True, help="help.pretrain_context")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="help.seed")
@click.option("--json", "as_json", is_flag=True, help="help.json")
def command(
    family: str,
    size: str,
    texts: tuple[str, ...],
    out: Path,
    epochs: float,
    vocabulary: int | None,
    context: int,
    seed: int,
    as_json: bool,
) -> None:
    """The same command goes on where an interrupted one stopped."""
    reporter = console.ConsoleReporter(quiet=as_json)
    with console.stoppable() as asked:
        space = open_workspace(out.resolve().parent, reporter)
        space.interrupted = asked.is_set
        stage.check_free(space, out)
        sources = [os.path.relpath(text, space.root) for text in texts]
        base, run = stage.pretrain(
            space, sources, family, size, epochs=epochs, vocabulary=vocabulary, context=context, seed=seed  # type: ignore[arg-type]
        )  # fmt: skip
        stage.place(space, base, out)
    reporter.close()
    if as_json:
        console.print_json({"base": str(out), "seconds": run.measured.seconds} | base.to_json())
        return
    console.print_text(messages.text("cli.pretrained", path=out, **base.to_json()))
