"""``escalade predict``: answers to a text, to standard input, or to a file of rows."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from escalade import messages
from escalade.cli import console
from escalade.errors import BadInput
from escalade.stages import using
from escalade.stages.workspace import Workspace, open_workspace


@click.command(help="help.predict")
@click.argument("model")
@click.argument("texts", nargs=-1)
@click.option("--data", type=click.Path(path_type=Path), help="help.predict_data")
@click.option("--out", type=click.Path(path_type=Path), help="help.predict_out")
@click.option("--input", "inputs", multiple=True, help="help.predict_input")
@click.option("--fill-mask", is_flag=True, help="help.predict_fill_mask")
@click.option("--max-tokens", type=click.IntRange(min=1), help="help.predict_max_tokens")
@click.option("--json", "as_json", is_flag=True, help="help.json")
@click.option("--quiet", is_flag=True, help="help.quiet")
def command(
    model: str,
    texts: tuple[str, ...],
    data: Path | None,
    out: Path | None,
    inputs: tuple[str, ...],
    fill_mask: bool,
    max_tokens: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Answers, in the form of the model's kind."""
    reporter = console.ConsoleReporter(quiet)
    space = open_workspace(Path("."), reporter)
    if data is not None and not data.exists():
        raise BadInput("data.missing_file", place=data, folder=data.parent.resolve())
    if data is not None and texts:
        raise BadInput("cli.both_data_and_text", place="--data")
    if data is not None and fill_mask:
        raise BadInput("cli.masks_in_text", place="--fill-mask")
    if data is None and not texts:
        texts = _piped()
    try:
        if fill_mask:
            _show_masks(space, model, texts, as_json)
        elif data is not None:
            _answer_file(space, model, data, out, inputs, max_tokens, as_json)
        else:
            _answer_texts(space, model, texts, max_tokens, as_json)
    finally:
        reporter.close()


def _piped() -> tuple[str, ...]:
    text = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read().rstrip("\n")
    if not text:
        raise BadInput("cli.needs_text", place="escalade predict")
    return (text,)


def _answer_texts(space: Workspace, model: str, texts: tuple[str, ...], max_tokens: int | None, as_json: bool) -> None:
    opened = using.open_model(space, model, max_tokens)
    records = [using.record_from_text(opened.facts.kind, text, i) for i, text in enumerate(texts)]
    if not as_json and len(records) == 1 and (pieces := using.stream(opened, records[0])) is not None:
        for piece in pieces:
            sys.stdout.write(piece.text)
            sys.stdout.flush()
        sys.stdout.write("\n")
        return
    said = [using.as_json(r, p) for r, p in zip(records, using.answer(opened, records), strict=True)]
    if as_json:
        console.print_json({"model": model, "kind": opened.facts.kind, "predictions": said})
        return
    for one in said:
        console.print_text(_line(one))


def _answer_file(
    space: Workspace,
    model: str,
    data: Path,
    out: Path | None,
    inputs: tuple[str, ...],
    max_tokens: int | None,
    as_json: bool,
) -> None:
    out = out or data.with_name(f"{data.name.split('.')[0]}.predictions.jsonl")
    with console.stoppable() as asked:
        space.interrupted = asked.is_set
        count = using.predict_file(using.open_model(space, model, max_tokens), data, out, space, inputs)
    if as_json:
        console.print_json({"model": model, "out": str(out), "answered": count})
    else:
        console.print_text(messages.text("cli.answered", count=count, path=out))


def _show_masks(space: Workspace, model: str, texts: tuple[str, ...], as_json: bool) -> None:
    found = [using.fill_mask(space, model, text) for text in texts]
    if as_json:
        console.print_json({"model": model, "masks": found})
        return
    for masks in found:
        for one in masks:
            console.print_text("  ".join(f"{c['token']!r} {c['probability']:.3f}" for c in one["candidates"]))


def _line(said: dict[str, object]) -> str:
    if "spans" in said:
        spans = said["spans"]
        return "  ".join(f"{s['text']} [{s['type']}]" for s in spans) or "-"  # type: ignore[attr-defined]
    if "label" in said:
        shares = said.get("probabilities") or {}
        shown = "  ".join(f"{label} {share:.3f}" for label, share in list(shares.items())[:5])  # type: ignore[attr-defined]
        return f"{said['label']}    {shown}".rstrip()
    if "vector" in said:
        return " ".join(f"{x:.5f}" for x in said["vector"])  # type: ignore[attr-defined]
    return str(said["text"])
